#include "schema/tsa.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ts.h>
#include <openssl/x509_vfy.h>

#include "schema/json.h"
#include "schema/log.h"

struct tsa_roots {
	X509_STORE *store;
};

/* --- the question ---------------------------------------------------------- */

static bool set_imprint(TS_REQ *q, const uint8_t imprint[32])
{
	TS_MSG_IMPRINT *m = TS_MSG_IMPRINT_new();
	X509_ALGOR *a = X509_ALGOR_new();
	bool ok = m && a &&
	    X509_ALGOR_set0(a, OBJ_nid2obj(NID_sha256), V_ASN1_NULL, NULL) &&
	    TS_MSG_IMPRINT_set_algo(m, a) &&
	    TS_MSG_IMPRINT_set_msg(m, (unsigned char *)imprint, 32) &&
	    TS_REQ_set_msg_imprint(q, m);

	TS_MSG_IMPRINT_free(m);
	X509_ALGOR_free(a);
	return ok;
}

static bool set_nonce(TS_REQ *q, const uint8_t nonce[TSA_NONCE])
{
	BIGNUM *b = BN_bin2bn(nonce, TSA_NONCE, NULL);
	ASN1_INTEGER *i = b ? BN_to_ASN1_INTEGER(b, NULL) : NULL;
	bool ok = i && TS_REQ_set_nonce(q, i);

	ASN1_INTEGER_free(i);
	BN_free(b);
	return ok;
}

static bool set_policy(TS_REQ *q, const char *policy)
{
	ASN1_OBJECT *o = policy ? OBJ_txt2obj(policy, 1) : NULL;
	bool ok = !policy || (o && TS_REQ_set_policy_id(q, o));

	ASN1_OBJECT_free(o);
	return ok;
}

int tsa_request(const uint8_t imprint[32], const uint8_t nonce[TSA_NONCE],
    const char *policy, uint8_t out[TSA_REQUEST_MAX])
{
	TS_REQ *q = TS_REQ_new();
	unsigned char *p = out;
	int n = -1;

	if (q && TS_REQ_set_version(q, 1) && set_imprint(q, imprint) &&
	    set_policy(q, policy) && set_nonce(q, nonce) &&
	    TS_REQ_set_cert_req(q, 1))
		n = i2d_TS_REQ(q, NULL);
	if (n > 0 && (size_t)n <= TSA_REQUEST_MAX)
		n = i2d_TS_REQ(q, &p);
	else
		n = -1;
	TS_REQ_free(q);
	ERR_clear_error();
	return n;
}

static TS_REQ *request_of(struct span der)
{
	const unsigned char *p = der.p;
	TS_REQ *q;

	if (der.p == NULL || der.n > TSA_REQUEST_MAX)
		return NULL;
	q = d2i_TS_REQ(NULL, &p, (long)der.n);
	if (q && p != der.p + der.n) {
		TS_REQ_free(q);
		q = NULL;
	}
	ERR_clear_error();
	return q;
}

/* SHA-256 and 32 bytes of it. */
static const uint8_t *imprint_of(TS_MSG_IMPRINT *m)
{
	const ASN1_OBJECT *alg = NULL;
	ASN1_OCTET_STRING *h;

	if (m == NULL)
		return NULL;
	X509_ALGOR_get0(&alg, NULL, NULL, TS_MSG_IMPRINT_get_algo(m));
	h = TS_MSG_IMPRINT_get_msg(m);
	if (OBJ_obj2nid(alg) != NID_sha256 || ASN1_STRING_length(h) != 32)
		return NULL;
	return ASN1_STRING_get0_data(h);
}

bool tsa_request_read(struct span der, uint8_t imprint[32])
{
	TS_REQ *q = request_of(der);
	const uint8_t *h = q ? imprint_of(TS_REQ_get_msg_imprint(q)) : NULL;

	if (h)
		memcpy(imprint, h, 32);
	TS_REQ_free(q);
	return h != NULL;
}

/* --- what an answer says --------------------------------------------------- */

/* "20240229235959.25Z" (RFC 3161 section 2.4.2): ns since 1970, -1 if none. */
static int64_t time_of(const ASN1_GENERALIZEDTIME *g)
{
	const char *s = g ? (const char *)ASN1_STRING_get0_data(g) : NULL;
	size_t n = g ? (size_t)ASN1_STRING_length(g) : 0;
	int64_t ns = 0, unit = 100000000;
	struct tm tm = { 0 };

	if (n < 15 || s[n - 1] != 'Z' || (n > 15 && s[14] != '.') || n == 16 ||
	    ASN1_TIME_to_tm(g, &tm) != 1)
		return -1;
	for (size_t i = 15; i + 1 < n; i++, unit /= 10) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		ns += (s[i] - '0') * unit;
	}
	if (tm.tm_year < 70 || tm.tm_year > 360)
		return -1;
	return (int64_t)timegm(&tm) * 1000000000 + ns;
}

/* -1: not there, or no sensible number. */
static int64_t part_of(const ASN1_INTEGER *i, int64_t most)
{
	int64_t v;

	return i && ASN1_INTEGER_get_int64(&v, i) == 1 && v >= 0 && v <= most ?
	    v : -1;
}

static int64_t accuracy_of(TS_TST_INFO *info)
{
	const TS_ACCURACY *a = TS_TST_INFO_get_accuracy(info);
	int64_t s, ms, us;

	if (a == NULL)
		return -1;
	s = part_of(TS_ACCURACY_get_seconds(a), 1000000);
	ms = part_of(TS_ACCURACY_get_millis(a), 999);
	us = part_of(TS_ACCURACY_get_micros(a), 999);
	if (s < 0 && ms < 0 && us < 0)
		return -1;
	return (s < 0 ? 0 : s) * 1000000000 + (ms < 0 ? 0 : ms) * 1000000 +
	    (us < 0 ? 0 : us) * 1000;
}

static void read_serial(const ASN1_INTEGER *i, char out[130])
{
	BIGNUM *b = i ? ASN1_INTEGER_to_BN(i, NULL) : NULL;
	uint8_t bytes[64];
	int n = b ? BN_num_bytes(b) : -1;

	out[0] = '\0';
	if (n == 0)
		snprintf(out, 130, "00");
	else if (n > 0 && n <= (int)sizeof(bytes) && !BN_is_negative(b))
		hex_of(bytes, (size_t)BN_bn2bin(b, bytes), out);
	BN_free(b);
}

static void read_info(TS_TST_INFO *info, struct tsa_token *t)
{
	t->gen_utc_ns = time_of(TS_TST_INFO_get_time(info));
	t->accuracy_ns = accuracy_of(info);
	read_serial(TS_TST_INFO_get_serial(info), t->serial);
	OBJ_obj2txt(t->policy, sizeof(t->policy),
	    TS_TST_INFO_get_policy_id(info), 1);
}

static void read_signer(X509 *cert, struct tsa_token *t)
{
	uint8_t sum[32];
	unsigned n = sizeof(sum);
	BIO *b = BIO_new(BIO_s_mem());
	char *text;
	long got;

	if (b == NULL)
		log_die("out of memory");
	if (X509_digest(cert, EVP_sha256(), sum, &n) == 1)
		hex_of(sum, sizeof(sum), t->signer_sha256);
	X509_NAME_print_ex(b, X509_get_subject_name(cert), 0,
	    XN_FLAG_RFC2253);
	got = BIO_get_mem_data(b, &text);
	log_safe(span_of(text, got > 0 ? (size_t)got : 0), t->signer,
	    sizeof(t->signer));
	BIO_free(b);
}

/* --- signatures ------------------------------------------------------------ */

/* A chain that leads to no root is no fault of the signature's. */
static int any_root(int ok, X509_STORE_CTX *c)
{
	switch (X509_STORE_CTX_get_error(c)) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_CERT_UNTRUSTED:
		return 1;
	default:
		return ok;
	}
}

/* The reason that libcrypto's queue gives, without its own code. */
static void say_crypto(char why[TSA_WHY_MAX])
{
	const char *data = NULL;
	int flags = 0;
	unsigned long e = ERR_peek_last_error_all(NULL, NULL, NULL, &data,
	    &flags);
	const char *reason = e ? ERR_reason_error_string(e) : NULL;
	char line[160];

	snprintf(line, sizeof(line), "%s%s%s", reason ? reason :
	    "it does not hold", data && (flags & ERR_TXT_STRING) && data[0] ?
	    ": " : "", data && (flags & ERR_TXT_STRING) ? data : "");
	log_safe(span_str(line), why, TSA_WHY_MAX);
	ERR_clear_error();
}

static bool signature_holds(PKCS7 *token, X509_STORE *store, int64_t at_ns,
    struct tsa_token *t, char why[TSA_WHY_MAX])
{
	X509 *signer = NULL;
	bool ok;

	ERR_clear_error();
	X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store),
	    (time_t)(at_ns / 1000000000));
	ok = TS_RESP_verify_signature(token, NULL, store, &signer) == 1;
	if (signer && t)
		read_signer(signer, t);
	if (!ok)
		say_crypto(why);
	X509_free(signer);
	return ok;
}

/* --- an answer held against the question ----------------------------------- */

static TS_RESP *response_of(struct span der)
{
	const unsigned char *p = der.p;
	TS_RESP *r;

	if (der.p == NULL || der.n > INT32_MAX)
		return NULL;
	r = d2i_TS_RESP(NULL, &p, (long)der.n);
	if (r && p != der.p + der.n) {
		TS_RESP_free(r);
		r = NULL;
	}
	ERR_clear_error();
	return r;
}

/* NULL, or the status that refuses, in the authority's words too. */
static bool refused(TS_RESP *r, char why[TSA_WHY_MAX])
{
	TS_STATUS_INFO *s = TS_RESP_get_status_info(r);
	const STACK_OF(ASN1_UTF8STRING) *words = TS_STATUS_INFO_get0_text(s);
	int64_t status = part_of(TS_STATUS_INFO_get0_status(s), 100);
	char safe[140] = "";

	if (status == TS_STATUS_GRANTED || status ==
	    TS_STATUS_GRANTED_WITH_MODS)
		return false;
	if (sk_ASN1_UTF8STRING_num(words) > 0) {
		ASN1_UTF8STRING *w = sk_ASN1_UTF8STRING_value(words, 0);

		log_safe(span_of(ASN1_STRING_get0_data(w),
		    (size_t)ASN1_STRING_length(w)), safe, sizeof(safe));
	}
	snprintf(why, TSA_WHY_MAX, "status %lld%s%s", (long long)status,
	    safe[0] ? ": " : "", safe);
	return true;
}

static const char *mismatch(TS_REQ *q, TS_TST_INFO *info)
{
	const uint8_t *asked = imprint_of(TS_REQ_get_msg_imprint(q));
	const uint8_t *given = imprint_of(TS_TST_INFO_get_msg_imprint(info));
	const ASN1_INTEGER *nonce = TS_TST_INFO_get_nonce(info);
	ASN1_OBJECT *policy = TS_REQ_get_policy_id(q);

	if (!asked || !given || memcmp(asked, given, 32) != 0)
		return "its imprint is another";
	if (!nonce || !TS_REQ_get_nonce(q) ||
	    ASN1_INTEGER_cmp(nonce, TS_REQ_get_nonce(q)) != 0)
		return "its nonce is another";
	if (policy && OBJ_cmp(policy, TS_TST_INFO_get_policy_id(info)) != 0)
		return "its policy is another";
	return NULL;
}

static enum tsa_outcome check(TS_REQ *q, TS_RESP *r, struct tsa_token *t,
    char why[TSA_WHY_MAX])
{
	TS_TST_INFO *info;
	X509_STORE *store;
	const char *fault;
	bool holds;

	if (refused(r, why))
		return TSA_REFUSED;
	info = TS_RESP_get_tst_info(r);
	if (info == NULL || TS_RESP_get_token(r) == NULL) {
		snprintf(why, TSA_WHY_MAX, "it holds no token");
		return TSA_MALFORMED;
	}
	read_info(info, t);
	if (TS_TST_INFO_get_version(info) != 1 || t->gen_utc_ns < 0 ||
	    t->serial[0] == '\0') {
		snprintf(why, TSA_WHY_MAX, "its version, time or serial "
		    "number is none");
		return TSA_MALFORMED;
	}
	fault = mismatch(q, info);
	if (fault) {
		snprintf(why, TSA_WHY_MAX, "%s", fault);
		return TSA_MISMATCH;
	}
	store = X509_STORE_new();
	if (store == NULL)
		log_die("out of memory");
	X509_STORE_set_verify_cb(store, any_root);
	holds = signature_holds(TS_RESP_get_token(r), store, t->gen_utc_ns, t,
	    why);
	X509_STORE_free(store);
	return holds ? TSA_OK : TSA_UNSIGNED;
}

enum tsa_outcome tsa_check(struct span request, struct span response,
    struct tsa_token *t, char why[TSA_WHY_MAX])
{
	TS_REQ *q = request_of(request);
	TS_RESP *r = response_of(response);
	enum tsa_outcome o = TSA_MALFORMED;

	*t = (struct tsa_token){ .gen_utc_ns = -1, .accuracy_ns = -1 };
	why[0] = '\0';
	if (q == NULL)
		snprintf(why, TSA_WHY_MAX, "the request is none");
	else if (r == NULL)
		snprintf(why, TSA_WHY_MAX, "no time-stamp response");
	else
		o = check(q, r, t, why);
	TS_REQ_free(q);
	TS_RESP_free(r);
	return o;
}

const char *tsa_outcome_text(enum tsa_outcome o)
{
	static const char *const text[] = {
		[TSA_OK] = "ok",
		[TSA_REFUSED] = "refused",
		[TSA_MALFORMED] = "malformed",
		[TSA_MISMATCH] = "mismatch",
		[TSA_UNSIGNED] = "unsigned",
	};

	return text[o];
}

/* --- roots ----------------------------------------------------------------- */

struct tsa_roots *tsa_roots_open(const char *path)
{
	struct tsa_roots *r = calloc(1, sizeof(*r));
	struct stat st;
	bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);

	if (r == NULL || (r->store = X509_STORE_new()) == NULL)
		log_die("out of memory");
	if (X509_STORE_load_locations(r->store, folder ? NULL : path,
	    folder ? path : NULL) == 1)
		return r;
	ERR_clear_error();
	log_warn("%s: holds no certificates in PEM", path);
	tsa_roots_close(r);
	return NULL;
}

void tsa_roots_close(struct tsa_roots *r)
{
	if (r == NULL)
		return;
	X509_STORE_free(r->store);
	free(r);
}

bool tsa_rooted(const struct tsa_roots *roots, struct span response,
    char why[TSA_WHY_MAX])
{
	TS_RESP *r = response_of(response);
	TS_TST_INFO *info = r ? TS_RESP_get_tst_info(r) : NULL;
	int64_t at = info ? time_of(TS_TST_INFO_get_time(info)) : -1;
	bool ok = false;

	why[0] = '\0';
	if (at < 0)
		snprintf(why, TSA_WHY_MAX, "it holds no token");
	else
		ok = signature_holds(TS_RESP_get_token(r), roots->store, at,
		    NULL, why);
	TS_RESP_free(r);
	return ok;
}
