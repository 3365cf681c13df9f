/*
 * Whose certificates HTTPS is checked against: the system's, or those in the
 * file that SSL_CERT_FILE names (which libcurl itself does not ask for).
 */
#ifndef SCHEMA_CATRUST_H
#define SCHEMA_CATRUST_H

#include <stdlib.h>

#include <curl/curl.h>

/* NULL: the system's. */
static inline const char *catrust_file(void)
{
	const char *file = secure_getenv("SSL_CERT_FILE");

	return file && *file ? file : NULL;
}

static inline CURLcode catrust_set(CURL *easy)
{
	const char *file = catrust_file();

	return file ? curl_easy_setopt(easy, CURLOPT_CAINFO, file) : CURLE_OK;
}

#endif
