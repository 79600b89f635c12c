#include "http/forwarded.h"

#include <arpa/inet.h>

/* IPv4 as IPv6 has it (::ffff:0:0/96), so that both ways of writing an address are one. */
static bool parse_ip(struct str text, struct in6_addr *ret)
{
	char buf[INET6_ADDRSTRLEN];
	struct in_addr v4;

	if (text.n == 0 || text.n >= sizeof(buf))
		return false;
	memcpy(buf, text.p, text.n);
	buf[text.n] = 0;
	if (inet_pton(AF_INET6, buf, ret) == 1)
		return true;
	if (inet_pton(AF_INET, buf, &v4) != 1)
		return false;
	*ret = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
	memcpy(&ret->s6_addr[12], &v4, 4);
	return true;
}

/* "10.0.0.0/8", "fd00::/8" or an address. */
static bool in_network(struct str network, const struct in6_addr *ip)
{
	struct str length, address = str_cut(network, '/', &length);
	bool v4 = str_index(address, ':') == address.n;
	uint64_t bits = v4 ? 32 : 128;
	struct in6_addr net;

	if (!parse_ip(address, &net) || (length.p && (!str_to_u64(length, &bits) || bits > 128)))
		return false;
	if (v4)
		bits += 96;
	for (size_t i = 0; i < 16 && bits; i++) {
		unsigned n = bits < 8 ? (unsigned)bits : 8, mask = 0xffu << (8 - n) & 0xffu;

		if ((net.s6_addr[i] ^ ip->s6_addr[i]) & mask)
			return false;
		bits -= n;
	}
	return true;
}

static bool is_trusted(struct str peer, const struct str *trusted, size_t n)
{
	struct in6_addr ip;

	if (!parse_ip(peer, &ip))
		return false;
	for (size_t i = 0; i < n; i++)
		if (in_network(trusted[i], &ip))
			return true;
	return false;
}

/* All X-Forwarded-For lines as one list, in order: a proxy may add to the last or write its own. */
static struct str forwarded_for(const struct http_header *h, size_t n, struct arena *a)
{
	struct str list = STR("");

	for (size_t i = 0; i < n; i++)
		if (str_eq(h[i].name, STR("x-forwarded-for")))
			list = list.n ? arena_join(a, (struct str[]){list, STR(","), h[i].value}, 3) : h[i].value;
	return list;
}

/* The only one, or STR_NONE: of two, who wrote which? */
static struct str real_ip(const struct http_header *h, size_t n)
{
	struct str found = STR_NONE;

	for (size_t i = 0; i < n; i++) {
		if (!str_eq(h[i].name, STR("x-real-ip")))
			continue;
		if (found.p)
			return STR_NONE;
		found = h[i].value;
	}
	return found;
}

/* Without a port: "192.0.2.1:443", "[2001:db8::1]:443". */
static struct str address_of(struct str entry)
{
	struct str rest;

	if (str_starts(entry, STR("[")))
		return str_cut(str_skip(entry, 1), ']', &rest);
	rest = str_skip(entry, str_index(entry, ':'));
	if (rest.n && str_index(str_skip(rest, 1), ':') == rest.n - 1)
		return str_head(entry, entry.n - rest.n);
	return entry;
}

struct str http_source_of(struct str peer, const struct http_header *h, size_t n, const struct str *trusted,
			  size_t trusted_n, struct arena *a)
{
	struct str list, real;

	if (!trusted_n || !is_trusted(peer, trusted, trusted_n))
		return peer;
	list = forwarded_for(h, n, a);
	if (!list.n) {
		real = real_ip(h, n);
		return real.n ? address_of(real) : peer;
	}
	while (list.n && is_trusted(peer, trusted, trusted_n)) {
		size_t comma = list.n;

		while (comma > 0 && list.p[comma - 1] != ',')
			comma--;
		peer = address_of(str_trim(str_skip(list, comma)));
		list = str_head(list, comma ? comma - 1 : 0);
	}
	return peer;
}

struct str http_source(struct http_req *r, const struct str *trusted, size_t n)
{
	const struct http_header *h;
	size_t headers_n = http_req_headers(r, &h);

	return http_source_of(http_req_peer(r), h, headers_n, trusted, n, http_req_arena(r));
}
