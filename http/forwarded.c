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
static struct str forwarded_for(struct http_req *r)
{
	const struct http_header *h;
	size_t n = http_req_headers(r, &h);
	struct str list = STR("");

	for (size_t i = 0; i < n; i++)
		if (str_eq(h[i].name, STR("x-forwarded-for")))
			list = list.n ? arena_join(http_req_arena(r),
						   (struct str[]){list, STR(","), h[i].value}, 3)
				      : h[i].value;
	return list;
}

struct str http_source(struct http_req *r, const struct str *trusted, size_t n)
{
	struct str peer = http_req_peer(r), list;

	if (!n)
		return peer;
	list = forwarded_for(r);
	while (list.n && is_trusted(peer, trusted, n)) {
		size_t comma = list.n;

		while (comma > 0 && list.p[comma - 1] != ',')
			comma--;
		peer = str_trim(str_skip(list, comma));
		list = str_head(list, comma ? comma - 1 : 0);
	}
	return peer;
}
