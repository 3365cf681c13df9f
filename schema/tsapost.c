#include "schema/tsapost.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <curl/curl.h>

#include "schema/catrust.h"
#include "schema/log.h"
#include "schema/now.h"

#define LOOK_MS 200		/* between two looks at stop */

struct ask {
	struct tsapost *p;
	const struct tsapost_conf *conf;
	CURL *easy;
	struct curl_slist *headers;
	char curl_error[CURL_ERROR_SIZE];
	int sock_errno;
};

bool tsapost_url(const char *url)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL;
	bool ok;

	if (u == NULL)
		log_die("out of memory");
	ok = curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(u);
	return ok;
}

/* --- what curl asks of us -------------------------------------------------- */

static curl_socket_t on_socket(void *ctx, curlsocktype purpose,
    struct curl_sockaddr *sa)
{
	struct ask *a = ctx;
	int fd;

	if (purpose != CURLSOCKTYPE_IPCXN)
		return CURL_SOCKET_BAD;
	if (a->conf->open)
		fd = a->conf->open(a->conf->ctx, sa->family == AF_INET ? 4 : 6);
	else
		fd = socket(sa->family, sa->socktype | SOCK_CLOEXEC,
		    sa->protocol);
	if (fd < 0) {
		a->sock_errno = errno;
		return CURL_SOCKET_BAD;
	}
	return fd;
}

static size_t on_body(char *p, size_t size, size_t count, void *ctx)
{
	struct ask *a = ctx;
	struct body *b = &a->p->body;

	body_add(b, p, size * count);
	return b->over ? 0 : size * count;	/* 0 ends the transfer */
}

/* --- one question ---------------------------------------------------------- */

static bool set_options(struct ask *a)
{
	CURL *e = a->easy;
	bool ok = true;
#define SET(option, value) \
	(ok = curl_easy_setopt(e, CURLOPT_##option, value) == CURLE_OK && ok)

	SET(URL, a->p->url);
	SET(PRIVATE, a);
	SET(ERRORBUFFER, a->curl_error);
	SET(USERAGENT, "swarmwitness");
	SET(PROTOCOLS_STR, "http,https");
	SET(FOLLOWLOCATION, 0l);
	SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(PROXY, "");
	SET(NOSIGNAL, 1l);
	ok = catrust_set(e) == CURLE_OK && ok;
	SET(QUICK_EXIT, 1l);
	SET(TIMEOUT_MS, (long)a->conf->wait_ms);
	SET(HTTPHEADER, a->headers);
	SET(POST, 1l);
	SET(POSTFIELDS, (const char *)a->p->request.p);
	SET(POSTFIELDSIZE, (long)a->p->request.n);
	SET(OPENSOCKETFUNCTION, on_socket);
	SET(OPENSOCKETDATA, a);
	SET(WRITEFUNCTION, on_body);
	SET(WRITEDATA, a);
#undef SET
	return ok;
}

static void begin(struct ask *a, CURLM *multi)
{
	a->p->sent = a->p->at = stamp_now();
	a->p->body = (struct body){ .most = TSAPOST_BODY_MAX };
	a->headers = curl_slist_append(NULL,
	    "Content-Type: application/timestamp-query");
	a->easy = curl_easy_init();
	if (a->headers == NULL || a->easy == NULL)
		log_die("out of memory");
	if (!set_options(a) ||
	    curl_multi_add_handle(multi, a->easy) != CURLM_OK)
		snprintf(a->p->error, sizeof(a->p->error),
		    "curl does not take this URL");
}

static void judge(struct ask *a, CURLcode code)
{
	struct tsapost *t = a->p;
	long status = 0, port = 0;
	char *ip = NULL;

	t->at = stamp_now();
	curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(a->easy, CURLINFO_PRIMARY_IP, &ip);
	curl_easy_getinfo(a->easy, CURLINFO_PRIMARY_PORT, &port);
	if (ip && endpoint_parse_ip(span_str(ip), &t->who))
		t->who.port = (uint16_t)port;
	t->http_status = (int)status;
	t->timed_out = code == CURLE_OPERATION_TIMEDOUT;
	if (t->body.over)
		snprintf(t->error, sizeof(t->error),
		    "longer than %u bytes", TSAPOST_BODY_MAX);
	else if (a->sock_errno)
		snprintf(t->error, sizeof(t->error), "no socket: %s",
		    strerror(a->sock_errno));
	else if (code != CURLE_OK)
		snprintf(t->error, sizeof(t->error), "%s", a->curl_error[0] ?
		    a->curl_error : curl_easy_strerror(code));
	else if (status != 200)
		snprintf(t->error, sizeof(t->error), "HTTP status %ld",
		    status);
	else
		t->answered = true;
}

static void collect(CURLM *multi)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(multi, &left)) != NULL) {
		struct ask *a = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &a);
		judge(a, m->data.result);
	}
}

void tsapost(struct tsapost *list, size_t n, const struct tsapost_conf *conf)
{
	struct ask asks[TSAPOST_MANY] = { 0 };
	CURLM *multi = curl_multi_init();
	int running = 1;
	bool begun = false, stopped = false;

	if (multi == NULL)
		log_die("out of memory");
	if (n > TSAPOST_MANY)
		n = TSAPOST_MANY;
	for (size_t i = 0; i < n; i++) {
		asks[i] = (struct ask){ .p = &list[i], .conf = conf };
		begin(&asks[i], multi);
	}
	while (running && !stopped) {
		if (curl_multi_perform(multi, &running) != CURLM_OK)
			break;
		if (!begun && conf->begun)
			conf->begun(conf->ctx);
		begun = true;
		collect(multi);
		if (running)
			curl_multi_poll(multi, NULL, 0, LOOK_MS, NULL);
		stopped = conf->stop && conf->stop(conf->ctx);
	}
	if (!begun && conf->begun)
		conf->begun(conf->ctx);
	for (size_t i = 0; i < n; i++) {
		if (!list[i].answered && !list[i].error[0]) {
			list[i].at = stamp_now();
			list[i].timed_out = true;
			snprintf(list[i].error, sizeof(list[i].error),
			    "given up: the run ended");
		}
		curl_multi_remove_handle(multi, asks[i].easy);
		curl_easy_cleanup(asks[i].easy);
		curl_slist_free_all(asks[i].headers);
	}
	curl_multi_cleanup(multi);
}
