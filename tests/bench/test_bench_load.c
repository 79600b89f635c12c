/* The generator against a small server: one thread, one connection at a time, answers by the book. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "bench/load.h"
#include "tests/loopback.h"

struct server {
	int listener;
	struct sockaddr_in address;
	pthread_t thread;
	/* Behaviour. */
	bool closes; /* after each answer, without saying so */
	bool refuses;
	bool fails_late;
	/* What it saw. */
	unsigned requests, unsigned_requests, parts;
	uint64_t body_bytes;
	char completion[4096], last_line[512], last_head[8192], last_body[4096];
};

/* Up to the empty line; false at the connection's end. */
static bool read_head(int fd, char *to, size_t max)
{
	size_t n = 0;

	while (n + 1 < max && read(fd, to + n, 1) == 1) {
		to[++n] = 0;
		if (n >= 4 && strcmp(to + n - 4, "\r\n\r\n") == 0)
			return true;
	}
	return false;
}

static void read_body(struct server *s, int fd, uint64_t n, char *keep, size_t max)
{
	char scratch[4096];

	s->body_bytes += n;
	if (n < max) {
		keep[n] = 0;
		max = n;
	} else {
		max = 0;
	}
	while (n) {
		ssize_t got = read(fd, scratch, n < sizeof(scratch) ? n : sizeof(scratch));

		if (got <= 0)
			return;
		if (max)
			memcpy(keep + (max - n), scratch, (size_t)got);
		n -= (uint64_t)got;
	}
}

static const char *answer_to(struct server *s, const char *head, const char *body)
{
	if (s->refuses)
		return "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
	if (strncmp(head, "POST", 4) == 0 && strstr(head, "?uploads="))
		return "HTTP/1.1 200 OK\r\nContent-Length: 33\r\n\r\n<r><UploadId>a/b+c</UploadId></r>";
	if (strncmp(head, "POST", 4) == 0 && !strstr(head, "/api/v1/")) {
		snprintf(s->completion, sizeof(s->completion), "%s", body);
		return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n<ok>\r\n0\r\n\r\n";
	}
	if (strstr(head, "/branches HTTP/1.1"))
		return s->requests == 1 ? "HTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx"
					: "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n";
	if (strstr(head, "partNumber="))
		s->parts++;
	if (strstr(head, "x-amz-copy-source-range: "))
		return "HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\n<r><ETag>&quot;p</ETag></r>  ";
	if (s->fails_late)
		return "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n <Error>late</Error>  ";
	if (strncmp(head, "HEAD", 4) == 0)
		return "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n";
	if (strncmp(head, "DELETE", 6) == 0)
		return "HTTP/1.1 204 No Content\r\n\r\n";
	if (strncmp(head, "GET", 3) == 0)
		return "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody";
	return "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 0\r\n\r\n";
}

static void serve(struct server *s, int fd)
{
	char head[8192], body[4096];

	while (read_head(fd, head, sizeof(head))) {
		const char *length = strstr(head, "\r\ncontent-length: "), *answer;

		s->requests++;
		if (!strstr(head, "authorization: AWS4-HMAC-SHA256 Credential=AK/"))
			s->unsigned_requests++;
		body[0] = 0;
		if (length)
			read_body(s, fd, strtoull(length + 18, NULL, 10), body, sizeof(body));
		snprintf(s->last_head, sizeof(s->last_head), "%s", head);
		snprintf(s->last_body, sizeof(s->last_body), "%s", body);
		snprintf(s->last_line, sizeof(s->last_line), "%.*s", (int)strcspn(head, "\r"), head);
		answer = answer_to(s, head, body);
		if (write(fd, answer, strlen(answer)) < 0 || s->closes)
			return;
	}
}

static void *server_main(void *arg)
{
	struct server *s = arg;
	int fd;

	while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
		serve(s, fd);
		close(fd);
	}
	return NULL;
}

static void server_start(struct server *s)
{
	socklen_t n = sizeof(s->address);

	*s = (struct server){.listener = socket(AF_INET, SOCK_STREAM, 0)};
	s->address.sin_family = AF_INET;
	s->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&s->address, n), 0);
	assert_int_equal(listen(s->listener, 16), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)&s->address, &n), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, server_main, s), 0);
}

static void server_stop(struct server *s)
{
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
}

static struct bench_options options(const struct server *s, enum bench_op op, uint64_t count)
{
	return (struct bench_options){
		.op = op,
		.address = s->address,
		.host = STR("127.0.0.1:1"),
		.bucket = STR("b"),
		.prefix = STR("main/p q/"),
		.region = STR("us-east-1"),
		.access_key = STR("AK"),
		.secret = STR("SK"),
		.size = 3000000,
		.part_size = 1000000,
		.connections = 1,
		.count = count,
		.keys = 10,
		.max_keys = 5,
		.timeout_ms = 20000,
		.source = STR("b/side/p q/"),
		.checksum = DIGEST_KINDS,
	};
}

static void run(struct server *s, const struct bench_options *o, struct results *results)
{
	struct arena *a = arena_new();
	struct workload w;
	struct err err;

	*results = (struct results){};
	assert_true(rc_ok(workload_init(&w, o, a, &err)));
	if (!rc_ok(load_run(&w, results, &err)))
		fail_msg("%s", err.msg);
	latencies_deinit(&results->latencies);
	arena_free(a);
}

static void test_load__each_operation(void **state)
{
	static const struct {
		enum bench_op op;
		const char *line;
		uint64_t bytes;
	} rows[] = {
		{BENCH_PUT, "PUT /b/main/p%20q/k00000002 HTTP/1.1", 9000000},
		{BENCH_GET, "GET /b/main/p%20q/k00000002 HTTP/1.1", 0},
		{BENCH_HEAD, "HEAD /b/main/p%20q/k00000002 HTTP/1.1", 0},
		{BENCH_DELETE, "DELETE /b/main/p%20q/k00000002 HTTP/1.1", 0},
		{BENCH_LIST, "GET /b?list-type=2&max-keys=5&prefix=main%2Fp%20q%2F HTTP/1.1", 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bench_options o;
		struct results r;
		struct server s;

		server_start(&s);
		o = options(&s, rows[i].op, 3);
		o.signed_payload = i % 2;
		run(&s, &o, &r);
		server_stop(&s);
		assert_int_equal(r.errors, 0);
		assert_int_equal(r.reconnects, 0);
		assert_int_equal(s.requests, 3);
		assert_int_equal(s.unsigned_requests, 0);
		assert_int_equal(s.body_bytes, rows[i].bytes);
		assert_string_equal(s.last_line, rows[i].line);
	}
}

static void test_load__multipart(void **state)
{
	struct bench_options o;
	struct results r;
	struct server s;

	server_start(&s);
	o = options(&s, BENCH_MULTIPART, 2);
	o.signed_payload = true;
	o.size = 2500000;
	run(&s, &o, &r);
	server_stop(&s);
	assert_int_equal(r.errors, 0);
	assert_int_equal(s.requests, 2 * 5);
	assert_int_equal(s.parts, 2 * 3);
	assert_string_equal(s.last_line,
			    "POST /b/main/p%20q/k00000001?uploadId=a%2Fb%2Bc HTTP/1.1");
	assert_string_equal(s.completion,
			    "<CompleteMultipartUpload>"
			    "<Part><PartNumber>1</PartNumber><ETag>\"e\"</ETag></Part>"
			    "<Part><PartNumber>2</PartNumber><ETag>\"e\"</ETag></Part>"
			    "<Part><PartNumber>3</PartNumber><ETag>\"e\"</ETag></Part>"
			    "</CompleteMultipartUpload>");
}

static void test_load__multipart_of_copies(void **state)
{
	struct bench_options o;
	struct results r;
	struct server s;

	server_start(&s);
	o = options(&s, BENCH_PART_COPY, 1);
	o.size = 2500000;
	run(&s, &o, &r);
	server_stop(&s);
	assert_int_equal(r.errors, 0);
	assert_int_equal(s.parts, 3);
	assert_string_equal(s.completion,
			    "<CompleteMultipartUpload>"
			    "<Part><PartNumber>1</PartNumber><ETag>&quot;p</ETag></Part>"
			    "<Part><PartNumber>2</PartNumber><ETag>&quot;p</ETag></Part>"
			    "<Part><PartNumber>3</PartNumber><ETag>&quot;p</ETag></Part>"
			    "</CompleteMultipartUpload>");
}

/* One request; what it looked like is in s. */
static struct results one(struct server *s, const struct bench_options *o)
{
	struct results r;

	run(s, o, &r);
	server_stop(s);
	return r;
}

static void test_load__copy_and_tags(void **state)
{
	struct bench_options o;
	struct server s;

	server_start(&s);
	o = options(&s, BENCH_COPY, 1);
	assert_int_equal(one(&s, &o).errors, 0);
	assert_string_equal(s.last_line, "PUT /b/main/p%20q/k00000000 HTTP/1.1");
	assert_non_null(strstr(s.last_head, "\r\nx-amz-copy-source: b/side/p%20q/k00000000\r\n"));
	assert_non_null(strstr(s.last_head, "x-amz-copy-source;")); /* among the signed ones */
	assert_int_equal(s.body_bytes, 0);

	server_start(&s);
	s.fails_late = true;
	o = options(&s, BENCH_COPY, 1);
	assert_int_equal(one(&s, &o).errors, 1);

	server_start(&s);
	o = options(&s, BENCH_TAG, 1);
	assert_int_equal(one(&s, &o).errors, 0);
	assert_string_equal(s.last_line, "PUT /b/main/p%20q/k00000000?tagging= HTTP/1.1");
	assert_non_null(strstr(s.last_body, "<Key>team</Key>"));
	assert_non_null(strstr(s.last_body, "</Tagging>"));
}

static void test_load__rest(void **state)
{
	struct bench_options o;
	struct server s;

	server_start(&s);
	o = options(&s, BENCH_STAT, 1);
	assert_int_equal(one(&s, &o).errors, 0);
	assert_string_equal(s.last_line, "GET /api/v1/repositories/b/refs/main/objects/stat"
					 "?path=p%20q%2Fk00000000 HTTP/1.1");
	assert_non_null(strstr(s.last_head, "\r\nauthorization: Basic QUs6U0s=\r\n"));

	server_start(&s);
	o = options(&s, BENCH_LS, 1);
	o.token = STR("abc");
	assert_int_equal(one(&s, &o).errors, 0);
	assert_string_equal(s.last_line, "GET /api/v1/repositories/b/refs/main/objects/ls"
					 "?presign=false&amount=5&prefix=p%20q%2F HTTP/1.1");
	assert_non_null(strstr(s.last_head, "\r\nauthorization: Bearer abc\r\n"));
}

/* A branch once, then an object and a commit each. */
static void test_load__commits(void **state)
{
	struct bench_options o;
	struct results r;
	struct server s;

	server_start(&s);
	o = options(&s, BENCH_COMMIT, 3);
	o.size = 10;
	r = one(&s, &o);
	assert_int_equal(r.errors, 0);
	assert_int_equal(s.requests, 1 + 3 * 2);
	assert_string_equal(s.last_line,
			    "POST /api/v1/repositories/b/branches/lane0/commits HTTP/1.1");
	assert_string_equal(s.last_body, "{\"message\":\"one object\"}");
	assert_non_null(strstr(s.last_head, "\r\ncontent-type: application/json\r\n"));
}

static void test_load__put_with_conditions_and_checksums(void **state)
{
	struct bench_options o;
	struct server s;

	server_start(&s);
	o = options(&s, BENCH_PUT, 1);
	o.size = 0;
	o.if_absent = true;
	o.checksum = DIGEST_CRC32;
	assert_int_equal(one(&s, &o).errors, 0);
	assert_non_null(strstr(s.last_head, "\r\nif-none-match: *\r\n"));
	assert_non_null(strstr(s.last_head, "\r\nx-amz-checksum-crc32: AAAAAA==\r\n"));
}

static void test_load__checksum_in_a_trailer(void **state)
{
	struct bench_options o;
	struct server s;

	server_start(&s);
	o = options(&s, BENCH_PUT, 1);
	o.size = 0;
	o.checksum = DIGEST_CRC32;
	o.trailer = true;
	assert_int_equal(one(&s, &o).errors, 0);
	assert_string_equal(s.last_body, "0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n");
	assert_non_null(strstr(s.last_head, "\r\nx-amz-trailer: x-amz-checksum-crc32\r\n"));
	assert_non_null(strstr(s.last_head, "\r\nx-amz-decoded-content-length: 0\r\n"));
	assert_non_null(strstr(s.last_head,
			       "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n"));

	/* 33 whole chunks of 64 KiB, more than the pattern has, and 7 bytes. */
	server_start(&s);
	o.address = s.address;
	o.size = 33 * 65536 + 7;
	assert_int_equal(one(&s, &o).errors, 0);
	assert_int_equal(s.body_bytes,
			 33 * (7 + 65536 + 2) + 3 + 7 + 2 + strlen(s.last_body) +
				 strlen("0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"));
}

static void test_load__server_that_closes(void **state)
{
	struct bench_options o;
	struct results r;
	struct server s;

	server_start(&s);
	s.closes = true;
	o = options(&s, BENCH_GET, 20);
	run(&s, &o, &r);
	server_stop(&s);
	assert_int_equal(r.errors, 0);
	assert_true(s.requests >= 20);
	assert_true(r.reconnects >= 19);
}

static void test_load__errors_are_counted_and_shown(void **state)
{
	struct bench_options o;
	struct results r;
	struct server s;

	server_start(&s);
	s.refuses = true;
	o = options(&s, BENCH_GET, 4);
	run(&s, &o, &r);
	server_stop(&s);
	assert_int_equal(r.errors, 4);
	assert_non_null(strstr(r.first_error, "status 403: no"));
}

static void test_load__several_connections_and_a_time(void **state)
{
	struct bench_options o;
	struct results r;
	struct server s;

	/* Longer where the machine stood still until the time was over. */
	for (double seconds = .2; seconds < 60; seconds *= 3) {
		server_start(&s);
		s.closes = true;
		o = options(&s, BENCH_HEAD, 0);
		o.connections = 8;
		o.seconds = seconds;
		run(&s, &o, &r);
		server_stop(&s);
		if (s.requests >= 8)
			break;
	}
	assert_true(s.requests >= 8);
}

static void test_load__nobody_there(void **state)
{
	struct arena *a = arena_new();
	struct results r = {};
	struct bench_options o;
	struct workload w;
	struct err err;
	unsigned port;
	int bound = loopback_bind(false, &port); /* and nobody listens: the port is nobody else's */
	struct server s = {.address = loopback_at(port)};

	o = options(&s, BENCH_GET, 4);
	assert_true(rc_ok(workload_init(&w, &o, a, NULL)));
	assert_true(rc_is(load_run(&w, &r, &err), IO));
	assert_non_null(strstr(err.msg, "can't connect to 127.0.0.1:1"));
	arena_free(a);
	close(bound);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load__each_operation),
		cmocka_unit_test(test_load__multipart),
		cmocka_unit_test(test_load__multipart_of_copies),
		cmocka_unit_test(test_load__copy_and_tags),
		cmocka_unit_test(test_load__rest),
		cmocka_unit_test(test_load__commits),
		cmocka_unit_test(test_load__put_with_conditions_and_checksums),
		cmocka_unit_test(test_load__checksum_in_a_trailer),
		cmocka_unit_test(test_load__server_that_closes),
		cmocka_unit_test(test_load__errors_are_counted_and_shown),
		cmocka_unit_test(test_load__several_connections_and_a_time),
		cmocka_unit_test(test_load__nobody_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
