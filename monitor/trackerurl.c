#include "monitor/trackerurl.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/endpoint.h"

static char *url_part(CURLU *u, CURLUPart what)
{
	char *got = NULL, *copy;

	if (curl_url_get(u, what, &got, 0) != CURLUE_OK)
		return NULL;
	copy = strdup(got);
	curl_free(got);
	return copy;
}

/* BEP 41's option carries path and query. */
static char *join_query(char *path, char *query)
{
	char *both = NULL;

	if (path == NULL)
		path = strdup("");
	if (query == NULL || path == NULL) {
		free(query);
		return path;
	}
	if (asprintf(&both, "%s?%s", path, query) < 0)
		both = NULL;
	free(path);
	free(query);
	return both;
}

static void read_udp(struct tracker_url *t)
{
	CURLU *u = curl_url();
	char *port = NULL;
	size_t n;

	t->scheme = SCHEME_OTHER;
	if (u == NULL)
		return;
	if (curl_url_set(u, CURLUPART_URL, t->text,
	    CURLU_NON_SUPPORT_SCHEME | CURLU_PATH_AS_IS) == CURLUE_OK) {
		t->host = url_part(u, CURLUPART_HOST);
		port = url_part(u, CURLUPART_PORT);
		t->path = join_query(url_part(u, CURLUPART_PATH),
		    url_part(u, CURLUPART_QUERY));
	}
	curl_url_cleanup(u);
	if (t->host != NULL && port != NULL && t->path != NULL) {
		n = strlen(t->host);
		if (n > 2 && t->host[0] == '[') {
			memmove(t->host, t->host + 1, n - 2);
			t->host[n - 2] = '\0';
		}
		t->port = (uint16_t)strtoul(port, NULL, 10);
		if (t->port != 0)
			t->scheme = SCHEME_UDP;
	}
	free(port);
}

/* The family of a host that is an address, bracketed or not. */
static int literal(struct span host)
{
	struct endpoint e;

	if (host.n > 2 && host.p[0] == '[')
		host = span_of(host.p + 1, host.n - 2);
	return endpoint_parse_ip(host, &e) ? e.family : 0;
}

static int http_family(const char *url)
{
	CURLU *u = curl_url();
	char *host = NULL;
	int family = 0;

	if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK)
		host = url_part(u, CURLUPART_HOST);
	if (host)
		family = literal(span_str(host));
	free(host);
	curl_url_cleanup(u);
	return family;
}

static bool begins(const char *url, const char *scheme)
{
	size_t n = strlen(scheme);

	return strncasecmp(url, scheme, n) == 0 &&
	    strncmp(url + n, "://", 3) == 0;
}

bool tracker_url_init(struct tracker_url *t, struct span url)
{
	*t = (struct tracker_url){ .scheme = SCHEME_OTHER };
	t->text = strndup((const char *)url.p, url.n);
	if (t->text == NULL)
		return false;
	if (begins(t->text, "http"))
		t->scheme = SCHEME_HTTP;
	else if (begins(t->text, "https"))
		t->scheme = SCHEME_HTTPS;
	else if (begins(t->text, "udp"))
		read_udp(t);
	if (t->scheme == SCHEME_HTTP || t->scheme == SCHEME_HTTPS)
		t->family = http_family(t->text);
	else if (t->host)
		t->family = literal(span_str(t->host));
	return true;
}

void tracker_url_fini(struct tracker_url *t)
{
	free(t->text);
	free(t->host);
	free(t->path);
	*t = (struct tracker_url){ .scheme = SCHEME_OTHER };
}
