/*
 * listener_test.c: the listener and a peer client, in one loop over real sockets.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <netinet/in.h>

#include <cmocka.h>
#include <poll.h>

#include "base/clock.h"
#include "base/listen.h"
#include "peer/client.h"
#include "peer/listener.h"

#define BOUND_MS 30000

static char directory[] = "/tmp/fha-listener-XXXXXX";
static char pgpass[64];
static FhaConfig config;
static FhaListener *listener;
static FhaPeerClient *client;
static char address[64]; /* of the listener */
static char nowhere[64]; /* somebody listens, and says only what a test makes it say */
static int listen_fd;
static int nowhere_fd;

static const FhaHealth primary = {
	.cluster = "c",
	.member = "n2",
	.incarnation = "00000000000000aa",
	.system_identifier = 42,
	.postgres = FHA_PG_PRIMARY,
	.fence_left_ms = 1234,
	.position = {3, 0x1600000028},
	.decision = "hold",
	.because = "a sentence",
	.known = true,
	.led = true,
	.holder = "n2",
	.term = 7,
	.timeline = 3,
};
static FhaHealth told;

static void
tell(void *argument, FhaHealth *out)
{
	(void) argument;
	*out = told;
}

static void
write_pgpass(void)
{
	FILE *out = fopen(pgpass, "w");

	assert_non_null(out);
	assert_true(fputs("*:*:*:fawkes_replication:secret\n", out) >= 0);
	assert_int_equal(fclose(out), 0);
}

static void
open_client(const char *cluster, uint64_t system_identifier)
{
	FhaPeerCaller caller = {
		.system_identifier = system_identifier, .member = "n1", .incarnation = "00000000000000bb"};
	FhaError err = {.text = ""};

	(void) snprintf(caller.cluster, sizeof(caller.cluster), "%s", cluster);
	if (fha_key_read(&config, &caller.key, &err) != FHA_OK ||
		fha_peer_client_open(&client, &caller, &err) != FHA_OK)
		fail_msg("%s", err.text);
}

/* A socket of the loopback with a port that is free; its address into out. */
static int
somewhere(char *out, size_t size)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *) &at, length), 0);
	assert_int_equal(listen(fd, 128), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *) &at, &length), 0);
	(void) snprintf(out, size, "127.0.0.1:%d", ntohs(at.sin_port));
	return fd;
}

static int
set_up(void **state)
{
	FhaError err;

	(void) state;
	told = primary;
	write_pgpass();
	listen_fd = somewhere(address, sizeof(address));
	nowhere_fd = somewhere(nowhere, sizeof(nowhere));
	if (fha_listener_open(&listener, listen_fd, &config, tell, NULL, NULL, &err) != FHA_OK)
		return -1;
	open_client("c", 42);
	return 0;
}

static int
tear_down(void **state)
{
	(void) state;
	fha_peer_client_close(client);
	fha_listener_close(listener);
	(void) close(listen_fd);
	(void) close(nowhere_fd);
	(void) unlink(pgpass);
	return 0;
}

/* One turn of a host's loop. */
static void
turn(void)
{
	struct pollfd wait[] = {{.fd = fha_listener_fd(listener), .events = POLLIN},
							{.fd = fha_peer_client_fd(client), .events = POLLIN}};
	int64_t wake_at_ms = fha_listener_wake_at_ms(listener);
	int64_t left_ms;

	if (fha_peer_client_wake_at_ms(client) < wake_at_ms)
		wake_at_ms = fha_peer_client_wake_at_ms(client);
	left_ms = wake_at_ms - fha_now_ms();
	(void) poll(wait, 2, left_ms < 0 ? 0 : left_ms > 5 ? 5 : (int) left_ms);
	fha_listener_step(listener);
}

static FhaPeerCallEvent
answer_of(const char *to, const char *member, const char *kind, int64_t time_ms)
{
	int64_t give_up_at_ms = fha_now_ms() + BOUND_MS;
	FhaPeerCallEvent event = {.error = {.text = ""}};
	FhaError err = {.text = ""};

	if (fha_peer_call_start(client, to, member, kind, NULL, fha_now_ms() + time_ms, &err) != FHA_OK)
		fail_msg("%s", err.text);
	while (fha_peer_client_step(client, &event) != FHA_OK)
	{
		assert_true(fha_now_ms() < give_up_at_ms);
		turn();
	}
	assert_string_equal(event.member, member);
	return event;
}

static void
a_question_is_answered(void **state)
{
	(void) state;
	for (int i = 0; i < 2; i++)
	{
		FhaPeerCallEvent event = answer_of(address, "n2", "status", BOUND_MS);

		if (event.code != FHA_OK)
			fail_msg("%s", event.error.text);
		assert_string_equal(event.reply.role, "primary");
		assert_string_equal(event.reply.because, "a sentence");
		assert_true(event.reply.fence_open);
		assert_int_equal(event.reply.term, 7);
	}
}

static void
refusals_come_with_their_reason(void **state)
{
	FhaPeerCallEvent event = answer_of(address, "n2", "no-such-kind", BOUND_MS);

	(void) state;
	assert_int_equal(event.code, FHA_NOT_FOUND);
	assert_string_not_equal(event.error.text, "");
	event = answer_of(address, "n3", "status", BOUND_MS);
	assert_int_not_equal(event.code, FHA_OK);
	assert_string_not_equal(event.error.text, "");
}

static void
who_has_another_secret_is_denied(void **state)
{
	FhaPeerCallEvent event;

	(void) state;
	fha_peer_client_close(client);
	/* The key comes of the cluster's name too. */
	(void) snprintf(config.cluster_name, sizeof(config.cluster_name), "other");
	open_client("c", 42);
	(void) snprintf(config.cluster_name, sizeof(config.cluster_name), "c");
	event = answer_of(address, "n2", "status", BOUND_MS);
	assert_int_equal(event.code, FHA_DENIED);
	assert_non_null(strstr(event.error.text, "401"));
}

static void
the_key_may_come_later(void **state)
{
	FhaPeerCallEvent event;

	(void) state;
	assert_int_equal(unlink(pgpass), 0);
	fha_listener_reload(listener, &config);
	event = answer_of(address, "n2", "status", BOUND_MS);
	assert_int_equal(event.code, FHA_IO);
	assert_non_null(strstr(event.error.text, "503"));
	write_pgpass();
	assert_int_equal(answer_of(address, "n2", "status", BOUND_MS).code, FHA_OK);
}

static void
silence_ends_by_the_deadline(void **state)
{
	FhaPeerCallEvent event = answer_of(nowhere, "n2", "status", 100);
	FhaError err;

	(void) state;
	assert_int_equal(event.code, FHA_TIMEOUT);
	(void) close(nowhere_fd);
	nowhere_fd = -1;
	assert_int_equal(answer_of(nowhere, "n2", "status", BOUND_MS).code, FHA_IO);
	assert_int_equal(
		fha_peer_call_start(client, address, "n2", "status", NULL, fha_now_ms() - 1, &err),
		FHA_TIMEOUT);
	assert_int_equal(
		fha_peer_call_start(client, "nonsense", "n2", "status", NULL, fha_now_ms() + 1000, &err),
		FHA_INVALID);
}

static void
questions_are_as_many_as_members(void **state)
{
	FhaPeerCallEvent event;
	FhaError err;
	int ended = 0;
	int64_t give_up_at_ms = fha_now_ms() + BOUND_MS;

	(void) state;
	for (int i = 0; i < FHA_MEMBERS_MAX; i++)
		assert_int_equal(
			fha_peer_call_start(client, nowhere, "n2", "status", NULL, fha_now_ms() + 200, &err),
			FHA_OK);
	assert_int_equal(
		fha_peer_call_start(client, nowhere, "n2", "status", NULL, fha_now_ms() + 200, &err),
		FHA_CONFLICT);
	while (ended < FHA_MEMBERS_MAX)
	{
		assert_true(fha_now_ms() < give_up_at_ms);
		if (fha_peer_client_step(client, &event) != FHA_OK)
		{
			turn();
			continue;
		}
		assert_int_equal(event.code, FHA_TIMEOUT);
		ended++;
	}
	assert_int_equal(answer_of(address, "n2", "status", BOUND_MS).code, FHA_OK);
	fha_peer_client_close(NULL);
	fha_listener_close(NULL);
}

/* What the caller makes of an answer that is none of ours. */
static FhaCode
verdict_on(const char *answer)
{
	int64_t give_up_at_ms = fha_now_ms() + BOUND_MS;
	FhaPeerCallEvent event;
	FhaError err;
	int fd = -1;

	assert_int_equal(
		fha_peer_call_start(client, nowhere, "n2", "status", NULL, fha_now_ms() + BOUND_MS, &err),
		FHA_OK);
	while (fha_peer_client_step(client, &event) != FHA_OK)
	{
		assert_true(fha_now_ms() < give_up_at_ms);
		turn();
		if (fd < 0 && (fd = accept(nowhere_fd, NULL, NULL)) >= 0)
		{
			assert_int_equal(send(fd, answer, strlen(answer), MSG_NOSIGNAL), strlen(answer));
			assert_int_equal(shutdown(fd, SHUT_WR), 0);
		}
	}
	if (fd >= 0)
		(void) close(fd);
	assert_string_not_equal(event.error.text, "");
	return event.code;
}

static void
strange_answers_are_no_answers(void **state)
{
	static char flood[FHA_MEMBER_ANSWER_MAX + 200] = "HTTP/1.1 200 OK\r\n\r\n";
	size_t head = strlen(flood);

	(void) state;
	assert_int_equal(verdict_on("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), FHA_DENIED);
	assert_int_equal(verdict_on("HTTP/1.1 400 No\r\nContent-Length: 4\r\n\r\nno\n\n"),
					 FHA_PROTOCOL);
	assert_int_equal(verdict_on("HTTP/1.1 200 OK\r\nFawkes-MAC: ab\r\nContent-Length: 0\r\n\r\n"),
					 FHA_DENIED);
	assert_int_equal(verdict_on("HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\na\x1b["), FHA_DENIED);
	assert_int_equal(verdict_on("nonsense"), FHA_IO);
	memset(flood + head, 'x', sizeof(flood) - head - 1);
	assert_int_equal(verdict_on(flood), FHA_PROTOCOL);
}

static int
connect_client(void)
{
	struct sockaddr_in at;
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(getsockname(listen_fd, (struct sockaddr *) &at, &size), 0);
	assert_int_equal(connect(fd, (struct sockaddr *) &at, size), 0);
	return fd;
}

/* All that comes back until the end; closes the connection. */
static const char *
read_all(int fd)
{
	static char out[8192];
	int64_t give_up_at_ms = fha_now_ms() + BOUND_MS;
	size_t used = 0;
	ssize_t got;

	while ((got = recv(fd, out + used, sizeof(out) - used - 1, MSG_DONTWAIT)) != 0)
	{
		assert_true(fha_now_ms() < give_up_at_ms);
		if (got > 0)
			used += (size_t) got;
		else if (errno != EAGAIN)
			break;
		else
			turn();
	}
	(void) close(fd);
	out[used] = '\0';
	return out;
}

static int
status_of(const char *request)
{
	int fd = connect_client();
	int status = 0;

	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	(void) sscanf(read_all(fd), "HTTP/1.1 %d", &status);
	return status;
}

static void
each_request_has_its_status(void **state)
{
	char longest[600];

	(void) state;
	assert_int_equal(status_of("GET /primary HTTP/1.1\r\nHost: n2\r\n\r\n"), 200);
	assert_int_equal(status_of("HEAD /primary HTTP/1.1\r\nHost: n2\r\n\r\n"), 200);
	assert_int_equal(status_of("GET /replica?lag=1MB HTTP/1.1\r\nHost: n2\r\n\r\n"), 503);
	assert_int_equal(status_of("GET /replica?lag=x HTTP/1.1\r\nHost: n2\r\n\r\n"), 400);
	assert_int_equal(status_of("GET /status HTTP/1.1\r\nHost: n2\r\n\r\n"), 200);
	assert_int_equal(status_of("GET /nonsense HTTP/1.1\r\nHost: n2\r\n\r\n"), 404);
	assert_int_equal(status_of("PUT /primary HTTP/1.1\r\nHost: n2\r\nContent-Length: 0\r\n\r\n"),
					 405);
	(void) snprintf(longest, sizeof(longest),
					"GET /primary?lag=%0300d HTTP/1.1\r\nHost: n2\r\n\r\n", 1);
	assert_int_equal(status_of(longest), 414);
	assert_int_equal(status_of("GET /member HTTP/1.1\r\nHost: n2\r\n\r\n"), 405);
	assert_int_equal(
		status_of("POST /member HTTP/1.1\r\nHost: n2\r\nTransfer-Encoding: chunked\r\n\r\n"), 411);
	assert_int_equal(status_of("POST /member HTTP/1.1\r\nHost: n2\r\nContent-Length: 4097\r\n\r\n"),
					 413);
	assert_int_equal(status_of("POST /member HTTP/1.1\r\nHost: n2\r\nContent-Length: 2\r\n\r\n{}"),
					 401);
}

/* The answers to GET of each path that has one, in the order of `paths`. */
static void
assert_statuses(const int expected[8])
{
	static const char *const paths[] = {"/healthz",    "/livez",   "/readyz",    "/primary",
										"/read-write", "/replica", "/read-only", "/status"};

	for (size_t i = 0; i < 8; i++)
	{
		char request[64];
		int status;

		(void) snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: n2\r\n\r\n", paths[i]);
		status = status_of(request);
		if (status != expected[i])
			fail_msg("%s: %d instead of %d", paths[i], status, expected[i]);
	}
}

static void
each_path_has_its_check(void **state)
{
	(void) state;
	assert_statuses((int[]){200, 200, 200, 200, 200, 503, 200, 200});
	told.fence_left_ms = 0;
	assert_statuses((int[]){200, 200, 503, 503, 503, 503, 503, 200});
	told.postgres = FHA_PG_STANDBY;
	told.streaming = true;
	assert_statuses((int[]){200, 200, 200, 503, 503, 200, 200, 200});
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_question_is_answered),           TEST(refusals_come_with_their_reason),
		TEST(who_has_another_secret_is_denied), TEST(the_key_may_come_later),
		TEST(silence_ends_by_the_deadline),     TEST(questions_are_as_many_as_members),
		TEST(strange_answers_are_no_answers),   TEST(each_request_has_its_status),
		TEST(each_path_has_its_check),
	};
	int failed;

	if (mkdtemp(directory) == NULL)
		return 1;
	(void) snprintf(pgpass, sizeof(pgpass), "%s/pgpass", directory);
	fha_config_defaults(&config);
	(void) snprintf(config.cluster_name, sizeof(config.cluster_name), "c");
	(void) snprintf(config.state_directory, sizeof(config.state_directory), "%s", directory);
	failed = cmocka_run_group_tests_name("listener", tests, NULL, NULL);
	(void) rmdir(directory);
	return failed;
}
