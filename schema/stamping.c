#include "schema/stamping.h"

#include <stdlib.h>

#include <curl/curl.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "schema/json.h"
#include "schema/log.h"
#include "schema/tsa.h"

struct question {
	size_t authority;
	uint8_t nonce[TSA_NONCE];
	uint8_t der[TSA_REQUEST_MAX];
	size_t n;
};

int stamping_init(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		return 0;
	log_warn("libcurl cannot be used");
	return -1;
}

bool stamping_usable(const struct stamping *s, const char *who)
{
	static const uint8_t zero[32];
	uint8_t der[TSA_REQUEST_MAX];
	char safe[200];

	for (size_t i = 0; i < s->n; i++)
		if (!tsapost_url(s->url[i])) {
			log_warn("%s: --tsa wants an http or https URL, not %s",
			    who, log_safe(span_str(s->url[i]), safe,
			    sizeof(safe)));
			return false;
		}
	if (s->policy && tsa_request(zero, zero, s->policy, der) < 0) {
		log_warn("%s: --tsa-policy wants an OID such as 1.2.3.4, not "
		    "%s", who, log_safe(span_str(s->policy), safe,
		    sizeof(safe)));
		return false;
	}
	return true;
}

/* --- a record -------------------------------------------------------------- */

static void put_token(struct json *j, const struct tsa_token *t)
{
	if (t->gen_utc_ns >= 0)
		json_int(j, "gen_utc_ns", t->gen_utc_ns);
	else
		json_null(j, "gen_utc_ns");
	if (t->accuracy_ns >= 0)
		json_int(j, "accuracy_ns", t->accuracy_ns);
	else
		json_null(j, "accuracy_ns");
	json_str(j, "serial", t->serial[0] ? t->serial : NULL);
	json_str(j, "policy", t->policy[0] ? t->policy : NULL);
	json_str(j, "signer", t->signer[0] ? t->signer : NULL);
	json_str(j, "signer_sha256", t->signer_sha256[0] ? t->signer_sha256 :
	    NULL);
}

static bool put_stamp(const struct stamping *s, const struct checkpoint *c,
    const uint8_t imprint[32], const struct question *q,
    const struct tsapost *p)
{
	struct tsa_token t = { .gen_utc_ns = -1, .accuracy_ns = -1 };
	struct record r = { .at = p->at, .kind = "stamp", .conn = CONN_NONE,
		.who = p->who.family ? &p->who : NULL };
	const char *outcome = p->body.over ? "malformed" : p->timed_out ? "timeout" :
	    "error";
	char why[TSA_WHY_MAX] = "", root[65], safe[300];
	struct span body = span_of(p->body.p, p->body.n);
	enum tsa_outcome o = TSA_MALFORMED;
	struct json j;

	if (p->answered) {
		o = tsa_check(span_of(q->der, q->n), body, &t, why);
		outcome = tsa_outcome_text(o);
	}
	if (o == TSA_MALFORMED && body.n > STAMPING_RAW_MAX)
		body.n = STAMPING_RAW_MAX;
	if (body.n)
		r.raw = body;
	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_text(&j, "tsa", span_str(p->url));
	json_str(&j, "outcome", outcome);
	if (p->error[0] || why[0])
		json_text(&j, "error", span_str(p->error[0] ? p->error : why));
	else
		json_null(&j, "error");
	json_int(&j, "http_status", p->http_status);
	json_uint(&j, "size", c->size);
	json_str(&j, "root", hex_of(c->root.b, sizeof(c->root.b), root));
	json_hex(&j, "imprint", span_of(imprint, 32));
	json_hex(&j, "nonce", span_of(q->nonce, sizeof(q->nonce)));
	json_str(&j, "policy_asked", s->policy);
	json_bool(&j, "cert_req", true);
	json_hex(&j, "request", span_of(q->der, q->n));
	json_int(&j, "sent_utc_ns", p->sent.utc_ns);
	json_int(&j, "took_ms", (p->at.mono_ns - p->sent.mono_ns) / 1000000);
	put_token(&j, &t);
	json_close(&j, '}');
	r.detail = json_done(&j);
	s->add(s->ctx, &r);
	json_fini(&j);
	if (o != TSA_OK)
		log_warn("no time-stamp from %s: %s%s%s",
		    log_safe(span_str(p->url), safe, 150), outcome,
		    p->error[0] || why[0] ? ": " : "",
		    log_safe(span_str(p->error[0] ? p->error : why),
		    safe + 150, 150));
	return o == TSA_OK;
}

/* --- a round --------------------------------------------------------------- */

static void ask(struct question *q, const struct stamping *s,
    const uint8_t imprint[32])
{
	int n;

	if (RAND_bytes(q->nonce, sizeof(q->nonce)) != 1)
		log_die("no random bytes");
	n = tsa_request(imprint, q->nonce, s->policy, q->der);
	if (n < 0)
		log_die("out of memory");
	q->n = (size_t)n;
}

unsigned stamping_round(const struct stamping *s, const char *note,
    unsigned which)
{
	struct question q[TSAPOST_MANY];
	struct tsapost post[TSAPOST_MANY] = { 0 };
	struct tsapost_conf conf = s->post;
	struct checkpoint c;
	uint8_t imprint[32];
	unsigned given = 0;
	size_t n = 0;

	if (note_read(span_str(note), &c) != NULL)
		log_die("evidence could not be kept: a checkpoint of ours "
		    "cannot be read");
	SHA256((const uint8_t *)note, strlen(note), imprint);
	for (size_t i = 0; i < s->n; i++) {
		if ((which >> i & 1) == 0)
			continue;
		q[n].authority = i;
		ask(&q[n], s, imprint);
		post[n].url = s->url[i];
		post[n].request = span_of(q[n].der, q[n].n);
		n++;
	}
	if (conf.wait_ms == 0)
		conf.wait_ms = STAMPING_WAIT_MS;
	tsapost(post, n, &conf);
	for (size_t i = 0; i < n; i++) {
		if (put_stamp(s, &c, imprint, &q[i], &post[i]))
			given |= 1u << q[i].authority;
		free(post[i].body.p);
	}
	return given;
}
