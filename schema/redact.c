#include "schema/redact.h"

#include <string.h>

#include "schema/log.h"
#include "wire/endpoint.h"

/* Each value of parameter x.pe; a link that is written oddly loses more, not
 * less. */
static void redact_link(char *s)
{
	char *to = s;

	while (*s) {
		size_t n = strcspn(s, "&");

		if (strncasecmp(s, "x.pe", 4) == 0 ||
		    strncasecmp(s, "x%2epe", 6) == 0) {
			size_t key = strcspn(s, "=&");

			memmove(to, s, key);
			to += key;
			if (s[key] == '=') {
				*to++ = '=';
				*to++ = '*';
			}
		} else {
			memmove(to, s, n);
			to += n;
		}
		s += n;
		if (*s)
			*to++ = *s++;
	}
	*to = '\0';
}

char *redact(const char *arg)
{
	char *out = strdup(arg), *value;
	struct endpoint at;

	if (out == NULL)
		log_die("out of memory");
	if (strncasecmp(out, "magnet:?", 8) == 0) {
		redact_link(out + 8);
		return out;
	}
	value = strncmp(out, "--", 2) == 0 ? strchr(out, '=') : NULL;
	value = value ? value + 1 : out;
	if (endpoint_parse(span_str(value), &at)) {
		value[0] = '*';
		value[1] = '\0';
	}
	return out;
}
