#include "monitor/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#include "monitor/sock.h"
#include "schema/body.h"
#include "schema/catrust.h"
#include "schema/now.h"

#define REQUEST_MAX 32768u	/* request heads, redirects' included */
#define REDIRECTS_MAX 3l

/* Some sessions' worth of lines: TLS 1.3 has five of at most 200 bytes. */
#define KEYS_MAX 16384u

struct http {
	struct http_conf conf;
	CURLM *multi;
	uv_timer_t timer;
	struct http_get *first;
	unsigned open;		/* uv handles not yet let go */
	char keys[KEYS_MAX];	/* of TLS sessions, not yet handed on */
	size_t keys_n;
	bool closing;
	void (*closed)(void *ctx);
	void *closed_ctx;
};

struct http_get {
	struct http *h;
	struct http_get *next, **link;
	CURL *easy;
	int family;
	exchange_fn *done;
	void *ctx;
	struct exchange x;
	const char *special;	/* why an address was refused */
	int sock_errno;		/* why no socket could be made */
	char curl_error[CURL_ERROR_SIZE];
	struct body body;	/* HTTP_BODY_MAX at most */
	uint8_t *request;
	size_t request_bytes;
};

/* A session outlives its exchange: what it is called with must too. */
static void on_key(const SSL *ssl, const char *line)
{
	struct http *h = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	size_t n = strlen(line);

	if (h->keys_n + n + 1 > sizeof(h->keys))
		return;
	memcpy(h->keys + h->keys_n, line, n);
	h->keys[h->keys_n + n] = '\n';
	h->keys_n += n + 1;
}

static CURLcode on_tls(CURL *easy, void *ctx, void *http)
{
	(void)easy;
	SSL_CTX_set_app_data(ctx, http);
	SSL_CTX_set_keylog_callback(ctx, on_key);
	return CURLE_OK;
}

/* It is over: told, with the keys of the sessions begun meanwhile. */
static void tell(struct http_get *g)
{
	struct http *h = g->h;

	g->x.key_log = span_of(h->keys, h->keys_n);
	g->done(g->ctx, &g->x);
	h->keys_n = 0;
}

/* A socket of curl's that the loop watches. */
struct watch {
	struct http *h;
	uv_poll_t poll;
	curl_socket_t fd;
};

/* --- what curl asks of us ------------------------------------------------ */

static curl_socket_t on_socket(void *ctx, curlsocktype purpose,
    struct curl_sockaddr *sa)
{
	struct http_get *g = ctx;
	const struct http_conf *c = &g->h->conf;
	struct endpoint at;
	const char *special;
	int fd;

	if (purpose != CURLSOCKTYPE_IPCXN || !sock_endpoint(&sa->addr, &at))
		return CURL_SOCKET_BAD;
	g->x.who = at;
	special = endpoint_special(&at);
	if (special != NULL && !c->allow_local) {
		g->special = special;
		return CURL_SOCKET_BAD;
	}
	fd = sock_open(sa->family == AF_INET ? 4 : 6, SOCK_STREAM,
	    sa->family == AF_INET ? &c->bind4 : &c->bind6,
	    c->ports_from, c->ports_to);
	if (fd < 0) {
		g->sock_errno = errno;
		return CURL_SOCKET_BAD;
	}
	return fd;
}

static size_t on_body(char *p, size_t size, size_t count, void *ctx)
{
	struct http_get *g = ctx;

	body_add(&g->body, p, size * count);
	return g->body.over ? 0 : size * count;	/* 0 ends the transfer */
}

/* A redirect's own body is not the answer. */
static size_t on_header(char *p, size_t size, size_t count, void *ctx)
{
	struct http_get *g = ctx;
	size_t n = size * count;

	if (n > 5 && memcmp(p, "HTTP/", 5) == 0)
		g->body.n = 0;
	return n;
}

static int on_debug(CURL *easy, curl_infotype type, char *p, size_t n,
    void *ctx)
{
	struct http_get *g = ctx;
	uint8_t *more;

	(void)easy;
	if (type != CURLINFO_HEADER_OUT || n > REQUEST_MAX - g->request_bytes)
		return 0;
	if (g->request_bytes == 0)
		g->x.sent = stamp_now();
	more = realloc(g->request, g->request_bytes + n);
	if (more == NULL)
		return 0;
	g->request = more;
	memcpy(more + g->request_bytes, p, n);
	g->request_bytes += n;
	return 0;
}

/* --- ends ---------------------------------------------------------------- */

static void get_free(struct http_get *g)
{
	if (g->link != NULL) {
		*g->link = g->next;
		if (g->next != NULL)
			g->next->link = g->link;
	}
	if (g->easy != NULL) {
		curl_multi_remove_handle(g->h->multi, g->easy);
		curl_easy_cleanup(g->easy);
	}
	free(g->body.p);
	free(g->request);
	free(g);
}

static void judge(struct http_get *g, CURLcode code)
{
	struct exchange *x = &g->x;
	long status = 0, port = 0;
	char *ip = NULL;
	struct endpoint at;

	x->at = stamp_now();
	curl_easy_getinfo(g->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(g->easy, CURLINFO_PRIMARY_IP, &ip);
	curl_easy_getinfo(g->easy, CURLINFO_PRIMARY_PORT, &port);
	x->http_status = (int)status;
	if (ip != NULL && endpoint_parse_ip(span_str(ip), &at)) {
		at.port = (uint16_t)port;
		x->who = at;
	}
	x->body = span_of(g->body.p, g->body.n);
	x->request = span_of(g->request, g->request_bytes);
	if (code == CURLE_OK) {
		x->outcome = EXCHANGE_OK;
		return;
	}
	x->outcome = EXCHANGE_ERROR;
	snprintf(x->error, sizeof(x->error), "%s", g->curl_error[0] ?
	    g->curl_error : curl_easy_strerror(code));
	if (g->body.over) {
		x->outcome = EXCHANGE_MALFORMED;
		snprintf(x->error, sizeof(x->error),
		    "body longer than %u bytes", HTTP_BODY_MAX);
	} else if (code == CURLE_OPERATION_TIMEDOUT) {
		x->outcome = EXCHANGE_TIMEOUT;
	} else if (g->special != NULL) {
		x->outcome = EXCHANGE_REFUSED;
		snprintf(x->error, sizeof(x->error), "%s address",
		    g->special);
	} else if (g->sock_errno != 0) {
		snprintf(x->error, sizeof(x->error), "no socket: %s",
		    strerror(g->sock_errno));
	}
}

static void collect(struct http *h)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
		struct http_get *g = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &g);
		judge(g, m->data.result);
		tell(g);
		get_free(g);
	}
}

/* --- the loop ------------------------------------------------------------ */

static void let_go(struct http *h)
{
	if (--h->open > 0)
		return;
	if (h->closed != NULL)
		h->closed(h->closed_ctx);
	free(h);
}

static void watch_closed(uv_handle_t *handle)
{
	struct watch *w = handle->data;
	struct http *h = w->h;

	free(w);
	let_go(h);
}

static void timer_closed(uv_handle_t *handle)
{
	let_go(handle->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct watch *w = poll->data;
	struct http *h = w->h;
	int flags = 0, running;

	if (status < 0)
		flags = CURL_CSELECT_ERR;
	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	curl_multi_socket_action(h->multi, w->fd, flags, &running);
	collect(h);
}

static void on_timer(uv_timer_t *timer)
{
	struct http *h = timer->data;
	int running;

	curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(h);
}

static int set_timer(CURLM *multi, long ms, void *ctx)
{
	struct http *h = ctx;

	(void)multi;
	if (h->closing)
		return 0;
	if (ms < 0)
		uv_timer_stop(&h->timer);
	else
		uv_timer_start(&h->timer, on_timer, (uint64_t)ms, 0);
	return 0;
}

static int set_watch(CURL *easy, curl_socket_t fd, int what, void *ctx,
    void *mine)
{
	struct http *h = ctx;
	struct watch *w = mine;
	int events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w != NULL) {
			uv_poll_stop(&w->poll);
			uv_close((uv_handle_t *)&w->poll, watch_closed);
			curl_multi_assign(h->multi, fd, NULL);
		}
		return 0;
	}
	if (w == NULL) {
		w = calloc(1, sizeof(*w));
		if (w == NULL)
			return -1;
		w->h = h;
		w->fd = fd;
		w->poll.data = w;
		if (uv_poll_init_socket(h->conf.loop, &w->poll, fd) != 0) {
			free(w);
			return -1;
		}
		h->open++;
		curl_multi_assign(h->multi, fd, w);
	}
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	uv_poll_start(&w->poll, events, on_poll);
	return 0;
}

/* --- what others call ---------------------------------------------------- */

struct http *http_new(const struct http_conf *conf)
{
	struct http *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->conf = *conf;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    (h->multi = curl_multi_init()) == NULL) {
		free(h);
		return NULL;
	}
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, set_watch);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, 16l);
	uv_timer_init(conf->loop, &h->timer);
	h->timer.data = h;
	h->open = 1;
	return h;
}

static bool set_options(struct http_get *g, const char *url, int wait_ms)
{
	CURL *e = g->easy;
	bool ok = true;
#define SET(option, value) \
	(ok = curl_easy_setopt(e, CURLOPT_##option, value) == CURLE_OK && ok)

	SET(URL, url);
	SET(PRIVATE, g);
	SET(ERRORBUFFER, g->curl_error);
	SET(USERAGENT, g->h->conf.user_agent);
	SET(PROTOCOLS_STR, "http,https");
	SET(REDIR_PROTOCOLS_STR, "http,https");
	SET(FOLLOWLOCATION, 1l);
	SET(MAXREDIRS, REDIRECTS_MAX);
	SET(PATH_AS_IS, 1l);
	SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(ACCEPT_ENCODING, "gzip");
	SET(PROXY, "");
	ok = catrust_set(e) == CURLE_OK && ok;
	SET(SSL_CTX_FUNCTION, on_tls);
	SET(SSL_CTX_DATA, g->h);
	SET(NOSIGNAL, 1l);
	SET(IPRESOLVE, g->family == 4 ? CURL_IPRESOLVE_V4 :
	    CURL_IPRESOLVE_V6);
	SET(TIMEOUT_MS, (long)wait_ms);
	SET(CONNECTTIMEOUT_MS, (long)wait_ms / 2);
	SET(OPENSOCKETFUNCTION, on_socket);
	SET(OPENSOCKETDATA, g);
	SET(WRITEFUNCTION, on_body);
	SET(WRITEDATA, g);
	SET(HEADERFUNCTION, on_header);
	SET(HEADERDATA, g);
	SET(VERBOSE, 1l);
	SET(DEBUGFUNCTION, on_debug);
	SET(DEBUGDATA, g);
#undef SET
	return ok;
}

struct http_get *http_get(struct http *h, const char *url, int family,
    int wait_ms, exchange_fn *done, void *ctx)
{
	struct http_get *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->h = h;
	g->family = family;
	g->done = done;
	g->ctx = ctx;
	g->body.most = HTTP_BODY_MAX;
	g->x.sent = stamp_now();
	g->easy = curl_easy_init();
	if (g->easy == NULL || !set_options(g, url, wait_ms) ||
	    curl_multi_add_handle(h->multi, g->easy) != CURLM_OK) {
		get_free(g);
		return NULL;
	}
	g->next = h->first;
	g->link = &h->first;
	if (g->next != NULL)
		g->next->link = &g->next;
	h->first = g;
	return g;
}

void http_give_up(struct http_get *g, const char *why)
{
	judge(g, CURLE_OPERATION_TIMEDOUT);
	snprintf(g->x.error, sizeof(g->x.error), "%s", why);
	tell(g);
	get_free(g);
}

void http_close(struct http *h, void (*closed)(void *ctx), void *ctx)
{
	h->closed = closed;
	h->closed_ctx = ctx;
	while (h->first != NULL)
		get_free(h->first);
	h->closing = true;
	/* Takes idle connections down, and with them their watches. */
	curl_multi_cleanup(h->multi);
	uv_close((uv_handle_t *)&h->timer, timer_closed);
}
