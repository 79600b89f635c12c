/* Clients at once against the whole server: what loops and workers hand to each other is handed over
 * whole. Of use under the thread sanitizer above all. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/gateway/site.h"

enum { CLIENTS = 5, ROUNDS = 12, BIG = 300 * 1000, PART = 5 << 20 };

struct client {
	struct site *s;
	pthread_t thread;
	unsigned number;
	int fd;
	char target[200], key[100];
	struct str big;
};

static void check(bool ok, const struct client *c, const char *what, const struct answer *a)
{
	if (ok)
		return;
	fprintf(stderr, "client %u, %s (%s): %d\n%.*s\n", c->number, what, c->target, a->status,
		(int)a->body.n, a->body.p ? a->body.p : "");
	abort();
}

static void target(struct client *c, unsigned round, const char *query)
{
	snprintf(c->key, sizeof(c->key), "main/c%u/%u", c->number, round % 3);
	snprintf(c->target, sizeof(c->target), "/repo1/%s%s", c->key, query);
}

static void call(struct client *c, const char *method, struct str body, int status,
		 struct answer *ret)
{
	site_call_on(c->s, &c->fd,
		     &(struct call){.method = method,
				    .target = c->target,
				    .body = body,
				    .headers = {{"x-amz-meta-who", "a client"}}},
		     ret);
	check(ret->status == status, c, method, ret);
}

static void call_only(struct client *c, const char *method, struct str body, int status)
{
	struct answer a;

	call(c, method, body, status, &a);
	answer_free(&a);
}

/* Small bodies fit one slot, big ones take turns. */
static void put_get_delete(struct client *c, unsigned round)
{
	struct str body = str_head(c->big, round % 2 ? BIG : 100 + round);
	struct answer a;
	char etag[1024];

	target(c, round, "");
	call(c, "PUT", body, 200, &a);
	answer_header(&a, "etag", etag);
	answer_free(&a);
	call(c, "GET", STR(""), 200, &a);
	check(str_eq(buf_str(&a.body), body), c, "what was read", &a);
	answer_free(&a);
	site_call_on(c->s, &c->fd,
		     &(struct call){.target = c->target,
				    .headers = {{"range", "bytes=10-19"}, {"if-match", etag}}},
		     &a);
	check(a.status == 206 && str_eq(buf_str(&a.body), str_head(str_skip(body, 10), 10)), c,
	      "range", &a);
	answer_free(&a);
	call_only(c, "HEAD", STR(""), 200);
	snprintf(c->target, sizeof(c->target), "/repo1?list-type=2&prefix=main%%2Fc%u%%2F", c->number);
	call(c, "GET", STR(""), 200, &a);
	check(answer_has(&a, c->key), c, "listing", &a);
	answer_free(&a);
	target(c, round, "");
	call_only(c, "DELETE", STR(""), 204);
	call_only(c, "GET", STR(""), 404);
}

static void copy(struct client *c, unsigned round)
{
	struct answer a;
	char source[150];

	target(c, round, "");
	call_only(c, "PUT", STR("to be copied"), 200);
	snprintf(source, sizeof(source), "/repo1/%s", c->key);
	snprintf(c->target, sizeof(c->target), "/repo1/main/copy%u", c->number);
	site_call_on(c->s, &c->fd,
		     &(struct call){.method = "PUT",
				    .target = c->target,
				    .headers = {{"x-amz-copy-source", source}}},
		     &a);
	check(a.status == 200, c, "copy", &a);
	answer_free(&a);
}

static void delete_many(struct client *c)
{
	char xml[500];
	int n = snprintf(xml, sizeof(xml),
			 "<Delete><Object><Key>main/c%u/0</Key></Object><Object><Key>main/c%u/1"
			 "</Key></Object></Delete>",
			 c->number, c->number);

	snprintf(c->target, sizeof(c->target), "/repo1?delete=");
	call_only(c, "POST", str_make(xml, (size_t)n), 200);
}

static void multipart(struct client *c)
{
	struct answer a;
	char id[1024], etags[2][1024], xml[4096];
	struct str sizes[] = {str_head(c->big, PART), str_head(c->big, 1000)};
	int n;

	snprintf(c->target, sizeof(c->target), "/repo1/main/c%u/mp?uploads=", c->number);
	call(c, "POST", STR(""), 200, &a);
	answer_element(&a, "UploadId", id);
	answer_free(&a);
	for (int i = 0; i < 2; i++) {
		snprintf(c->target, sizeof(c->target),
			 "/repo1/main/c%u/mp?partNumber=%d&uploadId=%.100s", c->number, i + 1, id);
		call(c, "PUT", sizes[i], 200, &a);
		answer_header(&a, "etag", etags[i]);
		answer_free(&a);
	}
	snprintf(c->target, sizeof(c->target), "/repo1/main/c%u/mp?uploadId=%.100s", c->number, id);
	call(c, "GET", STR(""), 200, &a);
	check(answer_has(&a, "<PartNumber>2</PartNumber>"), c, "parts", &a);
	answer_free(&a);
	n = snprintf(xml, sizeof(xml),
		     "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%.100s</ETag>"
		     "</Part><Part><PartNumber>2</PartNumber><ETag>%.100s</ETag></Part>"
		     "</CompleteMultipartUpload>",
		     etags[0], etags[1]);
	call_only(c, "POST", str_make(xml, (size_t)n), 200);
	snprintf(c->target, sizeof(c->target), "/repo1/main/c%u/mp", c->number);
	call(c, "GET", STR(""), 200, &a);
	check(a.body.n == PART + 1000, c, "the whole", &a);
	answer_free(&a);
}

/* Goes away with the body half sent, or without having read the answer. */
static void leave(struct client *c, unsigned round)
{
	target(c, round, "");
	site_abandon(c->s,
		     &(struct call){.method = "PUT", .target = c->target, .body = str_head(c->big, BIG)},
		     round % 8 < 4 ? BIG / 2 : BIG);
	site_abandon(c->s, &(struct call){.target = c->target}, 0);
	site_abandon(c->s, &(struct call){.target = "/repo1?list-type=2&prefix=main%2F"}, 0);
}

static void *client(void *arg)
{
	struct client *c = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		put_get_delete(c, i);
		if (i % 4 == 1)
			copy(c, i);
		if (i % 4 == 2)
			leave(c, i);
		if (i % 6 == 3)
			delete_many(c);
	}
	multipart(c);
	if (c->fd >= 0)
		close(c->fd);
	return NULL;
}

static void run(enum site_store store)
{
	struct client clients[CLIENTS];
	struct site s;
	char *big = malloc(PART);

	for (size_t i = 0; i < PART; i++)
		big[i] = (char)(i * 2654435761u >> 11);
	/* A cache that is renewed all the time takes the way over a worker now and then. */
	site_open(&s, &(struct site_options){.store = store, .repo_cache_ms = 5});
	site_add_repo(&s, "repo1", false);
	for (unsigned i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){.s = &s, .number = i, .fd = -1, .big = {big, PART}};
		pthread_create(&clients[i].thread, NULL, client, &clients[i]);
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		pthread_join(clients[i].thread, NULL);
	site_close(&s);
	free(big);
}

static void test_threads__over_memory(void **state)
{
	run(SITE_MEM);
}

static void test_threads__over_files(void **state)
{
	run(SITE_LOCAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads__over_memory),
		cmocka_unit_test(test_threads__over_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
