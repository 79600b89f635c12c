/* Attempts at proving who one is: counted, told to the audit, and refused where there were too many. */
#include "auth/internal.h"
#include "base/log.h"
#include "base/metrics.h"

enum { SHOWN = 128 };

static void count(const char *name, const char *help)
{
	metric_add(metric_get(METRIC_COUNTER, name, help, NULL), 1);
}

rc auth_may_try(struct auth *x, const struct auth_attempt *t, struct err *reterr)
{
	int64_t wait_ms = auth_guard_wait_ms(x->guard, t->source, t->access_key);
	uint64_t seconds = (uint64_t)(wait_ms + 999) / 1000;
	rc refused;

	if (!wait_ms)
		return RC_OK;
	count("auth_refused_total", "Attempts that were not looked at: their source had failed too often");
	refused = err_set(reterr, ERR_TooManyFailures,
			  "too many attempts from this address proved to be nobody's: try again in %llu seconds, "
			  "with the right credentials",
			  (unsigned long long)seconds);
	return err_field_u64(refused, reterr, "RetryAfterSeconds", seconds);
}

void auth_tried(struct auth *x, const struct auth_attempt *t, bool right)
{
	struct str key = str_head(t->access_key.p ? t->access_key : STR(""), SHOWN);

	if (right) {
		auth_guard_succeeded(x->guard, t->source, t->access_key);
		return;
	}
	count("auth_failures_total", "Attempts to authenticate with credentials that proved wrong");
	log_event(LOG_INFO, "audit", "authentication failed", F_CSTR("how", t->how), F_STR("access_key_id", key),
		  F_STR("source_ip", t->source), F_STR("request_id", t->request_id));
	if (auth_guard_failed(x->guard, t->source, t->access_key))
		log_event(LOG_WARN, "audit", "too many failures: the address waits", F_STR("access_key_id", key),
			  F_STR("source_ip", t->source), F_STR("request_id", t->request_id));
}

/* It can't be guessed, so that whoever has a good one is let in, whatever else comes from their address. */
rc auth_forged(struct auth *x, const struct auth_attempt *t, rc failed, struct err *reterr)
{
	TRY(auth_may_try(x, t, reterr));
	auth_tried(x, t, false);
	return failed;
}

static rc find_session(struct auth *x, enum kv_wait wait, const struct auth_attempt *t, struct str token,
		       struct arena *a, struct auth_user **ret_user, struct str *ret_secret, struct err *reterr)
{
	rc r = auth_find_session(x, wait, t->access_key, token, a, ret_user, ret_secret, reterr);

	return rc_is(r, InvalidToken) ? auth_forged(x, t, r, reterr) : r;
}

rc auth_find_signer(struct auth *x, enum kv_wait wait, const struct auth_attempt *t, struct str token,
		    struct arena *a, struct auth_user **ret_user, struct str *ret_secret, struct err *reterr)
{
	rc r;

	if (token.n && auth_is_temporary(t->access_key))
		return find_session(x, wait, t, token, a, ret_user, ret_secret, reterr);
	TRY(auth_may_try(x, t, reterr));
	r = auth_find_key(x, wait, t->access_key, a, ret_user, ret_secret, reterr);
	if (rc_is(r, InvalidAccessKeyId))
		auth_tried(x, t, false);
	return r;
}
