/*
 * kube_test.c: the API server's client against a server that is told how to fail.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>

#include "base/clock.h"
#include "kube/answer.h"
#include "kube/client.h"
#include "kube/client_private.h"
#include "test/kube/kube_server.h"

/* Far above what anything here takes. */
#define BOUND_MS 60000
/* How long a server that says nothing is given. */
#define SOON_MS 500

static Identity server_identity;
static Identity client_identity;
static Identity stranger;
static char token_path[] = "/tmp/fha-kube-test-XXXXXX";

static FhaKube *
open_client(const char *ca, bool with_cert, bool token_in_file)
{
	FhaKubeConfig config = {.namespace_ = "fawkes"};
	FhaKube *kube;
	FhaError err;

	(void) snprintf(config.server, sizeof(config.server), "https://127.0.0.1:%d", server_port);
	config.ca = strdup(ca);
	config.token = strdup(SECRET);
	if (with_cert)
	{
		config.client_cert = strdup(client_identity.cert_pem);
		config.client_key = strdup(client_identity.key_pem);
	}
	if (token_in_file)
		memcpy(config.token_file, token_path, sizeof(token_path));
	assert_int_equal(fha_kube_open(&kube, &config, &err), FHA_OK);
	assert_null(config.token);
	assert_null(config.ca);
	assert_string_equal(fha_kube_namespace(kube), "fawkes");
	return kube;
}

static void
next_event(FhaKube *kube, FhaKubeEvent *event)
{
	int64_t bound_at_ms = fha_now_ms() + BOUND_MS;

	while (fha_kube_step(kube, event) == FHA_AGAIN)
	{
		struct pollfd wait = {.fd = fha_kube_fd(kube), .events = POLLIN};
		int64_t now_ms = fha_now_ms();
		int64_t wake_at_ms =
			fha_kube_wake_at_ms(kube) < bound_at_ms ? fha_kube_wake_at_ms(kube) : bound_at_ms;

		assert_true(now_ms < bound_at_ms);
		if (wake_at_ms > now_ms)
			(void) poll(&wait, 1, (int) (wake_at_ms - now_ms));
	}
	assert_null(strstr(event->error.text, SECRET));
	assert_true(event->code == FHA_OK || event->error.text[0] != '\0');
	for (const char *at = event->error.text; *at != '\0'; at++)
		assert_in_range(*at, ' ', '~');
	assert_int_equal(event->data[event->size], '\0');
}

static unsigned
begin(FhaKube *kube, FhaKubeVerb verb, const char *path, int64_t within_ms)
{
	FhaKubeRequest wanted = {
		.verb = verb, .path = path, .deadline_at_ms = fha_now_ms() + within_ms};
	unsigned id = 0;
	FhaError err;

	if (fha_kube_is_write(verb))
	{
		wanted.body = "{\"a\":1}";
		wanted.body_size = 7;
	}
	assert_int_equal(fha_kube_start(kube, &wanted, &id, &err), FHA_OK);
	assert_int_not_equal(id, 0);
	return id;
}

static FhaCode
request_within(FhaKube *kube, FhaKubeVerb verb, const char *path, int64_t within_ms,
			   FhaKubeEvent *event)
{
	unsigned id = begin(kube, verb, path, within_ms);

	next_event(kube, event);
	assert_int_equal(event->id, id);
	assert_true(event->ended);
	return event->code;
}

static FhaCode
request(FhaKube *kube, FhaKubeVerb verb, const char *path, FhaKubeEvent *event)
{
	return request_within(kube, verb, path, BOUND_MS, event);
}

/* --- tests */

static void
requests_are_made_as_kubernetes_wants_them(void **state)
{
	static const struct
	{
		FhaKubeVerb verb;
		const char *wanted;
	} rows[] = {
		{FHA_KUBE_GET, "GET /api/x?y=z|known|||ours|"},
		{FHA_KUBE_CREATE, "POST /api/x?y=z|known|||ours|{\"a\":1}"},
		{FHA_KUBE_UPDATE, "PUT /api/x?y=z|known|||ours|{\"a\":1}"},
		{FHA_KUBE_PATCH, "PATCH /api/x?y=z|known||patch|ours|{\"a\":1}"},
		{FHA_KUBE_DELETE, "DELETE /api/x?y=z|known|||ours|{\"a\":1}"},
	};
	FhaKube *kube = open_client(server_identity.cert_pem, false, false);
	int connection = 0;
	FhaKubeEvent event;

	(void) state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		assert_int_equal(request(kube, rows[i].verb, "/api/x?y=z", &event), FHA_OK);
		assert_int_equal(event.status, 200);
		assert_string_equal(strchr(event.data, ' ') + 1, rows[i].wanted);
		/* All over the one connection that is kept. */
		assert_true(connection == 0 || connection == atoi(event.data));
		connection = atoi(event.data);
	}
	fha_kube_close(kube);
	kube = open_client(server_identity.cert_pem, true, false);
	assert_int_equal(request(kube, FHA_KUBE_GET, "/x", &event), FHA_OK);
	assert_non_null(strstr(event.data, "|known|a client|"));
	fha_kube_close(kube);
}

static void
each_status_says_what_is_certain(void **state)
{
	static const struct
	{
		int status;
		FhaCode read;
		FhaCode write;
	} rows[] = {
		{201, FHA_OK, FHA_OK},
		{302, FHA_PROTOCOL, FHA_UNKNOWN},
		{400, FHA_INVALID, FHA_INVALID},
		{401, FHA_DENIED, FHA_DENIED},
		{403, FHA_DENIED, FHA_DENIED},
		{404, FHA_NOT_FOUND, FHA_NOT_FOUND},
		{405, FHA_PROTOCOL, FHA_UNKNOWN},
		{408, FHA_PROTOCOL, FHA_UNKNOWN},
		{409, FHA_CONFLICT, FHA_CONFLICT},
		{410, FHA_PROTOCOL, FHA_UNKNOWN},
		{413, FHA_INVALID, FHA_INVALID},
		{415, FHA_INVALID, FHA_INVALID},
		{422, FHA_INVALID, FHA_INVALID},
		{500, FHA_IO, FHA_UNKNOWN},
		{502, FHA_IO, FHA_UNKNOWN},
		{503, FHA_IO, FHA_UNKNOWN},
		{504, FHA_IO, FHA_UNKNOWN},
	};
	FhaKube *kube = open_client(server_identity.cert_pem, false, false);
	FhaKubeEvent event;

	(void) state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		char path[32];
		char text[80];

		(void) snprintf(path, sizeof(path), "/status/%d", rows[i].status);
		(void) snprintf(text, sizeof(text), "HTTP status %d AlreadyExists: it is there ?[1m",
						rows[i].status);
		assert_int_equal(request(kube, FHA_KUBE_WATCH, path, &event),
						 rows[i].status == 201 ? FHA_OK : rows[i].read);
		assert_int_equal(request(kube, FHA_KUBE_GET, path, &event), rows[i].read);
		for (FhaKubeVerb verb = FHA_KUBE_CREATE; verb <= FHA_KUBE_DELETE; verb++)
			assert_int_equal(request(kube, verb, path, &event), rows[i].write);
		assert_int_equal(event.status, rows[i].status);
		assert_string_equal(event.error.text, event.code == FHA_OK ? "" : text);
		assert_int_equal(event.retry_after_ms, rows[i].status == 503 ? 7000 : 0);
	}
	assert_int_equal(request(kube, FHA_KUBE_GET, "/text", &event), FHA_DENIED);
	assert_string_equal(event.error.text, "HTTP status 403: no? ?[31m");
	fha_kube_close(kube);
}

static void
too_many_requests_are_sent_again_in_time(void **state)
{
	FhaKube *kube = open_client(server_identity.cert_pem, false, false);
	FhaKubeEvent event;

	(void) state;
	atomic_store(&shared->marked, 0);
	assert_int_equal(request(kube, FHA_KUBE_UPDATE, "/marked/busy", &event), FHA_OK);
	assert_int_equal(atomic_load(&shared->marked), 2);
	/* No time for another: certainly not carried out, and known at once. */
	atomic_store(&shared->marked, 0);
	assert_int_equal(request_within(kube, FHA_KUBE_UPDATE, "/marked/busy", 1000, &event),
					 FHA_TIMEOUT);
	assert_int_equal(event.status, 429);
	assert_int_equal(event.retry_after_ms, 1000);
	assert_int_equal(atomic_load(&shared->marked), 1);
	fha_kube_close(kube);
}

static void
a_write_without_a_whole_answer_is_unknown(void **state)
{
	static const char *const paths[] = {"/cut", "/half-head", "/close", "/silent"};
	FhaKube *kube = open_client(server_identity.cert_pem, false, false);
	FhaKubeEvent event;

	(void) state;
	for (size_t i = 0; i < 4; i++)
	{
		FhaCode read = i == 3 ? FHA_TIMEOUT : FHA_IO;
		int64_t within_ms = i == 3 ? SOON_MS : BOUND_MS;

		assert_int_equal(request_within(kube, FHA_KUBE_GET, paths[i], within_ms, &event), read);
		assert_int_equal(event.size, 0);
		for (FhaKubeVerb verb = FHA_KUBE_CREATE; verb <= FHA_KUBE_DELETE; verb++)
			assert_int_equal(request_within(kube, verb, paths[i], within_ms, &event), FHA_UNKNOWN);
	}
	fha_kube_close(kube);
}

static void
a_write_that_was_never_sent_is_refused(void **state)
{
	FhaKubeConfig config = {.server = "https://127.0.0.1:1", .namespace_ = "n"};
	FhaKubeConfig nowhere = {.namespace_ = "n"};
	FhaKube *kube;
	FhaKubeEvent event;
	FhaError err;
	int before;

	(void) state;
	assert_int_equal(fha_kube_open(&kube, &nowhere, &err), FHA_INVALID);
	/* Nobody listens there. */
	assert_int_equal(fha_kube_open(&kube, &config, &err), FHA_OK);
	assert_int_equal(request(kube, FHA_KUBE_UPDATE, "/x", &event), FHA_IO);
	fha_kube_close(kube);
	/* Somebody else's certificate. */
	before = atomic_load(&shared->requests);
	kube = open_client(stranger.cert_pem, true, false);
	assert_int_equal(request(kube, FHA_KUBE_UPDATE, "/x", &event), FHA_IO);
	assert_int_equal(atomic_load(&shared->requests), before);
	assert_int_equal(request(kube, FHA_KUBE_WATCH, "/watch/x", &event), FHA_IO);
	/* Its time was over before it began. */
	assert_int_equal(request_within(kube, FHA_KUBE_UPDATE, "/x", -1, &event), FHA_TIMEOUT);
	fha_kube_close(kube);
	/* The system's certificates do not know it. */
	memset(&config, 0, sizeof(config));
	(void) snprintf(config.server, sizeof(config.server), "https://127.0.0.1:%d", server_port);
	assert_int_equal(fha_kube_open(&kube, &config, &err), FHA_OK);
	assert_int_equal(request(kube, FHA_KUBE_UPDATE, "/x", &event), FHA_IO);
	fha_kube_close(kube);
	/* The right certificate under another name. */
	memset(&config, 0, sizeof(config));
	(void) snprintf(config.server, sizeof(config.server), "https://localhost:%d", server_port);
	config.ca = strdup(server_identity.cert_pem);
	assert_int_equal(fha_kube_open(&kube, &config, &err), FHA_OK);
	assert_int_equal(request(kube, FHA_KUBE_UPDATE, "/x", &event), FHA_IO);
	fha_kube_close(kube);
	assert_int_equal(atomic_load(&shared->requests), before);
}

static void
a_write_is_sent_once(void **state)
{
	FhaKube *kube = open_client(server_identity.cert_pem, false, false);
	FhaKubeEvent event;

	(void) state;
	/* The kept connection ends just as the request arrives: libcurl would send it again. */
	atomic_store(&shared->marked, 0);
	assert_int_equal(request(kube, FHA_KUBE_GET, "/x", &event), FHA_OK);
	assert_int_equal(request(kube, FHA_KUBE_CREATE, "/marked/drop", &event), FHA_UNKNOWN);
	assert_int_equal(atomic_load(&shared->marked), 1);
	/* A read may. */
	fha_kube_close(kube);
	kube = open_client(server_identity.cert_pem, false, false);
	assert_int_equal(request(kube, FHA_KUBE_GET, "/x", &event), FHA_OK);
	assert_int_equal(request(kube, FHA_KUBE_GET, "/marked/drop", &event), FHA_OK);
	assert_int_equal(atomic_load(&shared->marked), 3);
	fha_kube_close(kube);
}

static void
after_a_timeout_no_older_connection_is_taken(void **state)
{
	FhaKube *kube = open_client(server_identity.cert_pem, false, false);
	FhaKubeEvent event;
	int before;

	(void) state;
	(void) begin(kube, FHA_KUBE_GET, "/x", BOUND_MS);
	(void) begin(kube, FHA_KUBE_GET, "/x", BOUND_MS);
	next_event(kube, &event);
	next_event(kube, &event);
	before = atomic_load(&shared->connections);
	/* Two are kept; one of them falls silent. */
	assert_int_equal(request_within(kube, FHA_KUBE_GET, "/silent", SOON_MS, &event), FHA_TIMEOUT);
	assert_int_equal(atomic_load(&shared->connections), before);
	assert_int_equal(request(kube, FHA_KUBE_GET, "/x", &event), FHA_OK);
	assert_int_equal(atoi(event.data), before + 1);
	fha_kube_close(kube);
}

static void
write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void
write_token(const char *token)
{
	write_file(token_path, token);
}

static void
the_token_is_read_again(void **state)
{
	FhaKube *kube = open_client(server_identity.cert_pem, false, true);
	FhaKubeEvent event;

	(void) state;
	write_token("old\n");
	atomic_store(&shared->marked, 0);
	assert_int_equal(request(kube, FHA_KUBE_UPDATE, "/marked/token", &event), FHA_DENIED);
	assert_int_equal(event.status, 401);
	assert_int_equal(atomic_load(&shared->marked), 1);
	/* The file changes before a request. */
	write_token("new\n");
	assert_int_equal(request(kube, FHA_KUBE_UPDATE, "/marked/token", &event), FHA_OK);
	assert_int_equal(atomic_load(&shared->marked), 2);
	/* And while one is under way. */
	write_token("older");
	(void) begin(kube, FHA_KUBE_UPDATE, "/marked/token", BOUND_MS);
	write_token("new");
	next_event(kube, &event);
	assert_int_equal(event.code, FHA_OK);
	assert_int_equal(atomic_load(&shared->marked), 4);
	/* What is no token leaves the one before. */
	write_token("\n");
	assert_int_equal(request(kube, FHA_KUBE_UPDATE, "/marked/token", &event), FHA_OK);
	write_token("two words");
	assert_int_equal(request(kube, FHA_KUBE_UPDATE, "/marked/token", &event), FHA_OK);
	fha_kube_close(kube);
}

/* An authority that is replaced, a client certificate that is renewed. */
static void
certificates_are_read_again(void **state)
{
	FhaKubeConfig config = {.namespace_ = "fawkes"};
	FhaKubeEvent event;
	FhaKube *kube;
	FhaError err;

	(void) state;
	(void) snprintf(config.server, sizeof(config.server), "https://127.0.0.1:%d", server_port);
	(void) snprintf(config.ca_file, sizeof(config.ca_file), "%s.ca", token_path);
	(void) snprintf(config.client_cert_file, sizeof(config.client_cert_file), "%s.crt", token_path);
	(void) snprintf(config.client_key_file, sizeof(config.client_key_file), "%s.key", token_path);
	config.ca = strdup(stranger.cert_pem);
	config.client_cert = strdup(stranger.cert_pem);
	config.client_key = strdup(stranger.key_pem);
	assert_int_equal(fha_kube_open(&kube, &config, &err), FHA_OK);
	assert_int_equal(request(kube, FHA_KUBE_UPDATE, "/x", &event), FHA_IO);
	config = kube->config;
	write_file(config.ca_file, server_identity.cert_pem);
	assert_int_not_equal(request(kube, FHA_KUBE_UPDATE, "/x", &event), FHA_OK);
	write_file(config.client_cert_file, client_identity.cert_pem);
	assert_int_equal(request(kube, FHA_KUBE_UPDATE, "/x", &event), FHA_IO);
	write_file(config.client_key_file, client_identity.key_pem);
	assert_int_equal(request(kube, FHA_KUBE_UPDATE, "/x", &event), FHA_OK);
	assert_non_null(strstr(event.data, "|a client|"));
	/* What is none leaves the ones before. */
	write_file(config.ca_file, "");
	write_file(config.client_cert_file, client_identity.key_pem);
	write_file(config.client_key_file, "-----BEGIN ENCRYPTED PRIVATE KEY-----");
	assert_int_equal(request(kube, FHA_KUBE_UPDATE, "/x", &event), FHA_OK);
	fha_kube_close(kube);
	assert_int_equal(unlink(config.ca_file), 0);
	assert_int_equal(unlink(config.client_cert_file), 0);
	assert_int_equal(unlink(config.client_key_file), 0);
}

static _Atomic int lookups;
static _Atomic int lookups_that_take_signals;
static pthread_t host_thread;

/* libcurl's, and it is called in a thread of its own. */
__attribute__((visibility("default"))) int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
			struct addrinfo **out)
{
	sigset_t blocked;

	(void) name;
	(void) service;
	(void) hints;
	*out = NULL;
	if (!pthread_equal(pthread_self(), host_thread))
	{
		assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &blocked), 0);
		if (sigismember(&blocked, SIGUSR1) != 1 || sigismember(&blocked, SIGTERM) != 1 ||
			sigismember(&blocked, SIGCHLD) != 1)
			atomic_fetch_add(&lookups_that_take_signals, 1);
		atomic_fetch_add(&lookups, 1);
	}
	return EAI_NONAME;
}

/* The host's handlers run in the host's thread. */
static void
threads_of_libcurl_take_no_signals(void **state)
{
	FhaKubeConfig config = {.server = "https://fawkes.invalid:443", .namespace_ = "fawkes"};
	sigset_t before;
	sigset_t after;
	FhaKubeEvent event;
	FhaKube *kube;
	FhaError err;

	(void) state;
	host_thread = pthread_self();
	config.ca = strdup(server_identity.cert_pem);
	assert_int_equal(fha_kube_open(&kube, &config, &err), FHA_OK);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &before), 0);
	assert_int_equal(request(kube, FHA_KUBE_UPDATE, "/x", &event), FHA_IO);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
	for (int signal = 1; signal < SIGRTMIN; signal++)
		assert_int_equal(sigismember(&before, signal), sigismember(&after, signal));
	fha_kube_close(kube);
	assert_int_equal(atomic_load(&lookups), 1);
	assert_int_equal(atomic_load(&lookups_that_take_signals), 0);
}

static void
expect_line(FhaKube *kube, const char *line)
{
	FhaKubeEvent event;

	next_event(kube, &event);
	assert_false(event.ended);
	assert_string_equal(event.data, line);
	assert_int_equal(event.size, strlen(line));
}

static void
a_watch_tells_lines_until_it_ends(void **state)
{
	static const struct
	{
		const char *path;
		FhaCode end;
	} rows[] = {
		{"/watch/whole", FHA_OK},
		{"/watch/cut", FHA_IO},
		{"/watch/half", FHA_IO},
		{"/watch/stall", FHA_TIMEOUT},
	};
	FhaKube *kube = open_client(server_identity.cert_pem, false, false);
	FhaKubeEvent event;
	FhaError err;

	(void) state;
	for (size_t i = 0; i < 4; i++)
	{
		FhaKubeRequest watch_request = {.verb = FHA_KUBE_WATCH,
										.path = rows[i].path,
										.deadline_at_ms = fha_now_ms() + BOUND_MS,
										.silence_ms = i == 3 ? SOON_MS : BOUND_MS};
		unsigned id;

		assert_int_equal(fha_kube_start(kube, &watch_request, &id, &err), FHA_OK);
		expect_line(kube, "first");
		expect_line(kube, "second");
		if (i < 2)
			expect_line(kube, "third");
		next_event(kube, &event);
		assert_true(event.ended);
		assert_int_equal(event.id, id);
		assert_int_equal(event.code, rows[i].end);
		assert_int_equal(event.status, 200);
		assert_int_equal(event.size, 0);
	}
	fha_kube_close(kube);
}

static void
a_watch_has_caps_and_holds_up_nobody(void **state)
{
	FhaKube *kube = open_client(server_identity.cert_pem, false, false);
	FhaKubeRequest watch_request = {.verb = FHA_KUBE_WATCH,
									.path = "/watch/many",
									.answer_max = 1000,
									.deadline_at_ms = fha_now_ms() + BOUND_MS};
	FhaKubeEvent event;
	FhaError err;
	unsigned renewal;
	unsigned id;
	int lines = 0;
	bool renewed = false;
	bool ended = false;

	(void) state;
	assert_int_equal(fha_kube_start(kube, &watch_request, &id, &err), FHA_OK);
	renewal = begin(kube, FHA_KUBE_UPDATE, "/x", BOUND_MS);
	while (!renewed || !ended)
	{
		next_event(kube, &event);
		if (event.ended)
			assert_int_equal(event.code, FHA_OK);
		if (event.id == renewal)
			renewed = true;
		else if (event.ended)
			ended = true;
		else
			assert_int_equal(atoi(event.data + 5), lines++);
	}
	assert_int_equal(lines, 5000);
	watch_request.path = "/watch/long";
	assert_int_equal(fha_kube_start(kube, &watch_request, &id, &err), FHA_OK);
	next_event(kube, &event);
	assert_false(event.ended);
	next_event(kube, &event);
	assert_true(event.ended);
	assert_int_equal(event.code, FHA_PROTOCOL);
	watch_request.path = "/watch/wide";
	assert_int_equal(fha_kube_start(kube, &watch_request, &id, &err), FHA_OK);
	next_event(kube, &event);
	assert_true(event.ended);
	assert_int_equal(event.code, FHA_PROTOCOL);
	fha_kube_close(kube);
}

static void
requests_have_limits_and_can_be_dropped(void **state)
{
	FhaKube *kube = open_client(server_identity.cert_pem, false, false);
	static char long_path[4000];
	const char *const bad[] = {"", "x", "/a b", "/a\r\nb", "/a#b", "/\x80", long_path};
	FhaKubeRequest one = {
		.verb = FHA_KUBE_GET, .path = "/silent", .deadline_at_ms = fha_now_ms() + BOUND_MS};
	unsigned ids[FHA_KUBE_REQUESTS_MAX];
	FhaKubeEvent event;
	FhaError err;
	unsigned id;

	(void) state;
	memset(long_path, '/', sizeof(long_path) - 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		FhaKubeRequest refused = {.verb = FHA_KUBE_GET, .path = bad[i]};

		assert_int_equal(fha_kube_start(kube, &refused, &id, &err), FHA_INVALID);
	}
	for (size_t i = 0; i < FHA_KUBE_REQUESTS_MAX; i++)
		assert_int_equal(fha_kube_start(kube, &one, &ids[i], &err), FHA_OK);
	assert_int_equal(fha_kube_start(kube, &one, &id, &err), FHA_CONFLICT);
	for (size_t i = 0; i < FHA_KUBE_REQUESTS_MAX; i++)
		fha_kube_cancel(kube, ids[i]);
	fha_kube_cancel(kube, 0);
	assert_int_equal(fha_kube_step(kube, &event), FHA_AGAIN);
	/* An answer may be as long as was said, and no longer. */
	one.path = "/x";
	one.answer_max = 10;
	assert_int_equal(fha_kube_start(kube, &one, &id, &err), FHA_OK);
	next_event(kube, &event);
	assert_int_equal(event.code, FHA_PROTOCOL);
	one.verb = FHA_KUBE_DELETE;
	assert_int_equal(fha_kube_start(kube, &one, &id, &err), FHA_OK);
	next_event(kube, &event);
	assert_int_equal(event.code, FHA_UNKNOWN);
	/* Requests that are under way go with the client. */
	(void) begin(kube, FHA_KUBE_CREATE, "/silent", BOUND_MS);
	(void) begin(kube, FHA_KUBE_WATCH, "/watch/stall", BOUND_MS);
	next_event(kube, &event);
	fha_kube_close(kube);
	fha_kube_close(NULL);
}

static int
set_up(void **state)
{
	int fd = mkstemp(token_path);

	(void) state;
	identity_init(&server_identity, "a server", "IP:127.0.0.1");
	identity_init(&client_identity, "a client", "DNS:client");
	identity_init(&stranger, "a stranger", "IP:127.0.0.1");
	https_server_start(&server_identity, &client_identity);
	return fd < 0 || close(fd) != 0;
}

static int
tear_down(void **state)
{
	(void) state;
	https_server_stop();
	identity_release(&server_identity);
	identity_release(&client_identity);
	identity_release(&stranger);
	return unlink(token_path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_made_as_kubernetes_wants_them),
		cmocka_unit_test(each_status_says_what_is_certain),
		cmocka_unit_test(too_many_requests_are_sent_again_in_time),
		cmocka_unit_test(a_write_without_a_whole_answer_is_unknown),
		cmocka_unit_test(a_write_that_was_never_sent_is_refused),
		cmocka_unit_test(a_write_is_sent_once),
		cmocka_unit_test(after_a_timeout_no_older_connection_is_taken),
		cmocka_unit_test(the_token_is_read_again),
		cmocka_unit_test(certificates_are_read_again),
		cmocka_unit_test(threads_of_libcurl_take_no_signals),
		cmocka_unit_test(a_watch_tells_lines_until_it_ends),
		cmocka_unit_test(a_watch_has_caps_and_holds_up_nobody),
		cmocka_unit_test(requests_have_limits_and_can_be_dropped),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
