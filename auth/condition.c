#include "auth/condition.h"

#include <arpa/inet.h>

#include "auth/wildcard.h"

struct address {
	uint8_t bytes[16];
	unsigned n; /* 4 or 16 */
};

static bool address_parse(struct str s, struct address *ret)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	char text[INET6_ADDRSTRLEN];

	if (!s.n || s.n >= sizeof(text) || memchr(s.p, 0, s.n))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	ret->n = memchr(s.p, ':', s.n) ? 16 : 4;
	if (inet_pton(ret->n == 16 ? AF_INET6 : AF_INET, text, ret->bytes) != 1)
		return false;
	/* A v4 peer of a socket that is both. */
	if (ret->n == 16 && memcmp(ret->bytes, mapped, sizeof(mapped)) == 0) {
		memmove(ret->bytes, ret->bytes + 12, 4);
		ret->n = 4;
	}
	return true;
}

/* An address, or address/bits. */
static bool network_parse(struct str s, struct address *ret, unsigned *ret_bits)
{
	struct str rest;
	struct str text = str_cut(s, '/', &rest);
	bool v6 = memchr(text.p ? text.p : "", ':', text.n);
	uint64_t bits;

	if (!address_parse(text, ret))
		return false;
	*ret_bits = ret->n * 8;
	if (!rest.p)
		return true;
	if (!str_to_u64(rest, &bits) || bits > (v6 ? 128 : 32))
		return false;
	/* ::ffff:10.0.0.0/104 is 10.0.0.0/8; a mask that reaches over the mapping's 96 bits is none
	 * that v4 could have. */
	if (v6 && ret->n == 4) {
		if (bits < 96)
			return false;
		bits -= 96;
	}
	*ret_bits = (unsigned)bits;
	return true;
}

static bool in_network(const struct address *a, const struct address *net, unsigned bits)
{
	unsigned whole = bits / 8, left = bits % 8;

	if (a->n != net->n || memcmp(a->bytes, net->bytes, whole) != 0)
		return false;
	return !left || (a->bytes[whole] ^ net->bytes[whole]) >> (8 - left) == 0;
}

static enum auth_verdict ip_address(const struct auth_condition *c, struct str value)
{
	struct address a, net;
	unsigned bits;

	if (!address_parse(value, &a))
		return AUTH_BROKEN;
	for (size_t i = 0; i < c->values_n; i++) {
		if (!network_parse(c->values[i], &net, &bits))
			return AUTH_BROKEN;
		if (in_network(&a, &net, bits))
			return AUTH_MET;
	}
	return AUTH_NOT_MET;
}

static enum auth_verdict string_like(const struct auth_condition *c, struct str value)
{
	for (size_t i = 0; i < c->values_n; i++)
		if (auth_wildcard(c->values[i], value))
			return AUTH_MET;
	return AUTH_NOT_MET;
}

static const struct operator_row {
	struct str name;
	enum auth_verdict (*test)(const struct auth_condition *c, struct str value);
	bool negated;
} operators[] = {
	{{"IpAddress", 9}, ip_address, false},
	{{"NotIpAddress", 12}, ip_address, true},
	{{"StringLike", 10}, string_like, false},
	{{"StringNotLike", 13}, string_like, true},
};

static const struct operator_row *operator_find(struct str name)
{
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
		if (str_eq(operators[i].name, name))
			return &operators[i];
	return NULL;
}

static struct str field_value(const struct auth_context *ctx, struct str field)
{
	if (ctx && str_eq(field, STR("SourceIp")))
		return ctx->source_ip;
	if (ctx && str_eq(field, STR("StorageId")))
		return ctx->storage_id;
	return STR_NONE;
}

static enum auth_verdict one(const struct auth_condition *c, const struct auth_context *ctx)
{
	const struct operator_row *op = operator_find(c->op);
	struct str value = field_value(ctx, c->field);
	enum auth_verdict v;

	if (!op)
		return AUTH_BROKEN;
	if (!c->field.p)
		return AUTH_MET;
	if (!value.p)
		return AUTH_NOT_MET;
	v = op->test(c, value);
	if (v == AUTH_BROKEN || !op->negated)
		return v;
	return v == AUTH_MET ? AUTH_NOT_MET : AUTH_MET;
}

/* All are looked at: whether one is broken must not depend on the order of a map. */
enum auth_verdict auth_conditions(const struct auth_statement *s, const struct auth_context *ctx)
{
	enum auth_verdict all = AUTH_MET;

	for (size_t i = 0; i < s->conditions_n; i++) {
		enum auth_verdict v = one(&s->conditions[i], ctx);

		if (v == AUTH_BROKEN)
			return v;
		if (v == AUTH_NOT_MET)
			all = v;
	}
	return all;
}

static rc check_networks(const struct auth_condition *c, struct err *reterr)
{
	struct address net;
	unsigned bits;

	if (!str_eq(c->field, STR("SourceIp")))
		return err_set(reterr, ERR_INVALID, STR_FMT " is for SourceIp, not for " STR_FMT, STR_ARG(c->op),
			       STR_ARG(str_head(c->field, 60)));
	for (size_t i = 0; i < c->values_n; i++)
		if (!network_parse(c->values[i], &net, &bits))
			return err_set(reterr, ERR_INVALID,
				       "\"" STR_FMT "\" is no IP address and no network like 10.0.0.0/8",
				       STR_ARG(str_head(c->values[i], 60)));
	return RC_OK;
}

rc auth_condition_check(const struct auth_condition *c, struct err *reterr)
{
	const struct operator_row *op = operator_find(c->op);

	if (!op)
		return err_set(reterr, ERR_INVALID,
			       "there is no condition operator \"" STR_FMT "\": there are IpAddress, NotIpAddress, "
			       "StringLike and StringNotLike",
			       STR_ARG(str_head(c->op, 60)));
	if (!c->field.p)
		return err_set(reterr, ERR_INVALID, "the condition " STR_FMT " has no field", STR_ARG(c->op));
	if (!str_eq(c->field, STR("SourceIp")) && !str_eq(c->field, STR("StorageId")))
		return err_set(reterr, ERR_INVALID,
			       "no request has a field \"" STR_FMT "\" for conditions: there are SourceIp and StorageId",
			       STR_ARG(str_head(c->field, 60)));
	return op->test == ip_address ? check_networks(c, reterr) : RC_OK;
}
