/*
 * lock_kube_test.c: the lock of Kubernetes against an API server that is told how to fail.
 *
 * What a real one shows (conflicts, outages, compaction) stands in test/test_kube_lock.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>

#include "base/clock.h"
#include "kube/client.h"
#include "lock/lock.h"
#include "test/http/https_server.h"

/* Far above what anything here takes. */
#define BOUND_MS 60000
/* How long a server that says nothing is given. */
#define SOON_MS 400
/* A pause before the next try is longer than that, and no longer than this; a list has more. */
#define PAUSE_MAX_MS 3000
#define LEASE(name, version)                                                                 \
	"{\"kind\":\"Lease\",\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version \
	"\",\"annotations\":{\"fawkes-ha/record\":\"{}\"}},\"spec\":{}}"
#define LIST(version, items)                                                                       \
	"{\"kind\":\"LeaseList\",\"metadata\":{\"resourceVersion\":\"" version "\"},\"items\":[" items \
	"]}"
#define LINE(type, lease) "{\"type\":\"" type "\",\"object\":" lease "}\n"

/* How an answer comes. */
typedef enum Manner
{
	WHOLE,
	SILENT,    /* never */
	HALF,      /* the connection ends in the body */
	HALF_HEAD, /* or in the head */
	NOTHING,   /* or before it */
	DRIP,      /* a byte now and then, for ever */
	MANNERS
} Manner;

/* What the server does and has seen; in shared memory. */
typedef struct Play
{
	_Atomic int status; /* of a request for one record */
	_Atomic int manner;
	char answer[1024];
	_Atomic int list_status;
	_Atomic int list_manner;
	char list_head[64];
	char list[2048];
	_Atomic int watch_status;
	_Atomic bool watch_stays; /* after its lines it says nothing more; else it ends */
	char watch[2048];         /* lines, for the first watch alone */
	_Atomic int watch_ms;     /* after so long */
	_Atomic int asked;        /* for one record */
	_Atomic int lists;
	_Atomic int watches;
	char method[16]; /* of the last request for one record */
	char path[256];  /* of the last list or watch */
} Play;

static Play *play;
static Identity server_identity;
static Identity client_identity;
static char directory[] = "/tmp/fha-lock-kube-test-XXXXXX";
static char uri[256];
static int64_t silence_ms; /* for watches; 0: what the driver says */
static int64_t skipped_ms;

int64_t __real_fha_now_ms(void);
int64_t __wrap_fha_now_ms(void);

/* The machine's time, and what was skipped of it. */
int64_t
__wrap_fha_now_ms(void)
{
	return __real_fha_now_ms() + skipped_ms;
}

FhaCode __real_fha_kube_start(FhaKube *kube, const FhaKubeRequest *request, unsigned *id,
							  FhaError *err);
FhaCode __wrap_fha_kube_start(FhaKube *kube, const FhaKubeRequest *request, unsigned *id,
							  FhaError *err);

/* A watch that says nothing is given up some time: here sooner. */
FhaCode
__wrap_fha_kube_start(FhaKube *kube, const FhaKubeRequest *request, unsigned *id, FhaError *err)
{
	FhaKubeRequest sooner = *request;

	if (request->verb == FHA_KUBE_WATCH && silence_ms != 0)
	{
		assert_in_range(request->silence_ms, 60001, 600000);
		sooner.silence_ms = silence_ms;
	}
	return __real_fha_kube_start(kube, &sooner, id, err);
}

/* --- the server */

static bool
answer_as(SSL *ssl, int status, Manner manner, const char *more_head, const char *body)
{
	char head[256];

	(void) snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n", status,
					more_head, strlen(body) + (manner == WHOLE ? 0 : 10));
	switch (manner)
	{
		case SILENT:
			(void) pause();
			return false;
		case NOTHING:
			return false;
		case HALF_HEAD:
			head[strlen(head) / 2] = '\0';
			https_send(ssl, head);
			return false;
		case DRIP:
			https_send(ssl, head);
			for (;;)
			{
				https_send(ssl, " ");
				(void) poll(NULL, 0, 20);
			}
		case HALF:
		case WHOLE:
		case MANNERS:
			https_send(ssl, head);
			https_send(ssl, body);
	}
	return manner == WHOLE;
}

static bool
answer_watch(SSL *ssl)
{
	char size[32];
	bool first = atomic_fetch_add(&play->watches, 1) == 0;
	int status = atomic_exchange(&play->watch_status, 200);

	if (status != 200)
		return answer_as(ssl, status, WHOLE, "", "{\"kind\":\"Status\"}");
	https_send(ssl, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	if (first && play->watch[0] != '\0')
	{
		(void) snprintf(size, sizeof(size), "%zx\r\n", strlen(play->watch));
		https_send(ssl, size);
		https_send(ssl, play->watch);
		https_send(ssl, "\r\n");
	}
	if (!first || atomic_load(&play->watch_stays))
		(void) pause();
	(void) poll(NULL, 0, atomic_load(&play->watch_ms));
	https_send(ssl, "0\r\n\r\n");
	return true;
}

static bool
https_answer(SSL *ssl, const HttpsRequest *request)
{
	if (strchr(request->path, '?') == NULL)
	{
		(void) snprintf(play->method, sizeof(play->method), "%s", request->method);
		atomic_fetch_add(&play->asked, 1);
		return answer_as(ssl, atomic_load(&play->status), (Manner) atomic_load(&play->manner), "",
						 play->answer);
	}
	(void) snprintf(play->path, sizeof(play->path), "%s", request->path);
	if (strstr(request->path, "watch=true") != NULL)
		return answer_watch(ssl);
	atomic_fetch_add(&play->lists, 1);
	return answer_as(ssl, atomic_exchange(&play->list_status, 200),
					 (Manner) atomic_exchange(&play->list_manner, WHOLE), play->list_head,
					 play->list);
}

/* --- the lock */

static void
write_file(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	(void) snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static FhaLock *
open_lock(bool watch)
{
	FhaLock *lock = NULL;
	FhaError err;

	if (fha_lock_open(&lock, uri, "db-test", watch, &err) != FHA_OK)
		fail_msg("%s", err.text);
	return lock;
}

/* A lock that waits before its next try need not be waited for. */
static void
skip_pause(const FhaLock *lock)
{
	int64_t left_ms = fha_lock_wake_at_ms(lock) - fha_now_ms();

	if (left_ms > SOON_MS && left_ms <= PAUSE_MAX_MS)
		skipped_ms += left_ms;
}

static void
next_event(FhaLock *lock, FhaLockEvent *event)
{
	int64_t bound_at_ms = fha_now_ms() + BOUND_MS;

	while (fha_lock_step(lock, event) == FHA_AGAIN)
	{
		struct pollfd wait = {.fd = fha_lock_fd(lock), .events = POLLIN};
		int64_t wake_at_ms =
			fha_lock_wake_at_ms(lock) < bound_at_ms ? fha_lock_wake_at_ms(lock) : bound_at_ms;
		int64_t now_ms;

		skip_pause(lock);
		now_ms = fha_now_ms();
		assert_true(now_ms < bound_at_ms);
		if (wake_at_ms > now_ms)
			(void) poll(&wait, 1, (int) (wake_at_ms - now_ms));
	}
}

static FhaLockRequest
request_of(FhaLockVerb verb, int64_t within_ms)
{
	return (FhaLockRequest){.verb = verb,
							.name = "db-test",
							.version = "42",
							.data = "{}",
							.size = 2,
							.deadline_at_ms = fha_now_ms() + within_ms};
}

static FhaCode
call(FhaLock *lock, FhaLockVerb verb, int64_t within_ms)
{
	FhaLockRequest request = request_of(verb, within_ms);
	FhaLockEvent event;

	return fha_lock_call(lock, &request, &event);
}

static void
assert_call(FhaLockVerb verb, int64_t within_ms, FhaCode wanted)
{
	FhaLock *lock = open_lock(false);
	FhaCode code = call(lock, verb, within_ms);

	if (code != wanted)
		fail_msg("verb %d, status %d, manner %d: %d, not %d", (int) verb,
				 atomic_load(&play->status), atomic_load(&play->manner), (int) code, (int) wanted);
	fha_lock_close(lock);
}

/* --- tests: the ends of a request */

static void
a_status_says_what_is_certain(void **state)
{
	static const struct
	{
		int status;
		FhaCode swap;
		FhaCode create;
		FhaCode get;
	} rows[] = {
		{200, FHA_OK, FHA_OK, FHA_OK},
		{400, FHA_IO, FHA_IO, FHA_PROTOCOL},
		{401, FHA_DENIED, FHA_DENIED, FHA_DENIED},
		{403, FHA_DENIED, FHA_DENIED, FHA_DENIED},
		{404, FHA_NOT_FOUND, FHA_IO, FHA_NOT_FOUND},
		{409, FHA_CONFLICT, FHA_CONFLICT, FHA_CONFLICT},
		{408, FHA_UNKNOWN, FHA_UNKNOWN, FHA_PROTOCOL},
		{410, FHA_UNKNOWN, FHA_UNKNOWN, FHA_PROTOCOL},
		{413, FHA_IO, FHA_IO, FHA_PROTOCOL},
		{422, FHA_IO, FHA_IO, FHA_PROTOCOL},
		{500, FHA_UNKNOWN, FHA_UNKNOWN, FHA_IO},
		{503, FHA_UNKNOWN, FHA_UNKNOWN, FHA_IO},
		{504, FHA_UNKNOWN, FHA_UNKNOWN, FHA_IO},
	};

	(void) state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		atomic_store(&play->status, rows[i].status);
		assert_call(FHA_LOCK_SWAP, BOUND_MS, rows[i].swap);
		assert_string_equal(play->method, "PATCH");
		assert_call(FHA_LOCK_CREATE, BOUND_MS, rows[i].create);
		assert_string_equal(play->method, "POST");
		assert_call(FHA_LOCK_GET, BOUND_MS, rows[i].get);
		assert_string_equal(play->method, "GET");
	}
}

/* A server that is too busy is asked again for as long as the deadline allows. */
static void
a_write_that_was_only_refused_for_now_is_unknown(void **state)
{
	(void) state;
	atomic_store(&play->status, 429);
	assert_call(FHA_LOCK_SWAP, SOON_MS, FHA_UNKNOWN);
	assert_call(FHA_LOCK_GET, SOON_MS, FHA_TIMEOUT);
}

static void
s1_a_write_without_a_whole_answer_is_unknown(void **state)
{
	(void) state;
	for (int manner = SILENT; manner < MANNERS; manner++)
	{
		bool waits = manner == SILENT || manner == DRIP;

		atomic_store(&play->manner, manner);
		assert_call(FHA_LOCK_SWAP, waits ? SOON_MS : BOUND_MS, FHA_UNKNOWN);
		assert_call(FHA_LOCK_CREATE, waits ? SOON_MS : BOUND_MS, FHA_UNKNOWN);
		assert_call(FHA_LOCK_GET, waits ? SOON_MS : BOUND_MS, waits ? FHA_TIMEOUT : FHA_IO);
	}
}

/* lock.h: a write that met its deadline is read back, even if nothing was sent. */
static void
s1_a_write_that_met_its_deadline_is_unknown(void **state)
{
	int asked = atomic_load(&play->asked);

	(void) state;
	assert_call(FHA_LOCK_SWAP, -1, FHA_UNKNOWN);
	assert_call(FHA_LOCK_CREATE, -1, FHA_UNKNOWN);
	assert_call(FHA_LOCK_GET, -1, FHA_TIMEOUT);
	assert_int_equal(atomic_load(&play->asked), asked);
}

/* It was applied; which version it has is not known. */
static void
s1_a_write_whose_answer_makes_no_sense_is_unknown(void **state)
{
	static const char *const answers[] = {"",   "no JSON",           "[]",
										  "{}", "{\"metadata\":{}}", LEASE("db-test", "")};

	(void) state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
	{
		(void) snprintf(play->answer, sizeof(play->answer), "%s", answers[i]);
		assert_call(FHA_LOCK_SWAP, BOUND_MS, FHA_UNKNOWN);
		assert_call(FHA_LOCK_GET, BOUND_MS, FHA_PROTOCOL);
	}
}

static void
a_write_to_nobody_was_not_applied(void **state)
{
	char path[256];
	FhaLockRequest request = request_of(FHA_LOCK_SWAP, BOUND_MS);
	FhaLockEvent event;
	FhaLock *lock;
	FhaError err;

	(void) state;
	(void) snprintf(path, sizeof(path), "kubernetes:%s/nobody", directory);
	assert_int_equal(fha_lock_open(&lock, path, "db-test", false, &err), FHA_OK);
	assert_int_equal(fha_lock_call(lock, &request, &event), FHA_IO);
	fha_lock_close(lock);
}

/* S1: "0" would be a write without a condition. */
static void
s1_what_is_no_version_is_not_sent(void **state)
{
	static const char *const versions[] = {"0",   "00", "042", "x",
										   "4x2", "-1", " 42", "1234567890123456789"};
	FhaLock *lock = open_lock(false);
	FhaLockRequest request = request_of(FHA_LOCK_SWAP, BOUND_MS);
	int asked = atomic_load(&play->asked);
	FhaError err;

	(void) state;
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
	{
		request.version = versions[i];
		if (fha_lock_start(lock, &request, &err) != FHA_INVALID)
			fail_msg("taken: %s", versions[i]);
		assert_non_null(strstr(err.text, "is not a version"));
	}
	assert_int_equal(atomic_load(&play->asked), asked);
	fha_lock_close(lock);
}

/* --- tests: the watch */

static void
assert_told(FhaLock *lock, const char *name, const char *version)
{
	FhaLockEvent event;

	next_event(lock, &event);
	if (event.kind != FHA_LOCK_CHANGE || strcmp(event.records[0].name, name) != 0 ||
		strcmp(event.records[0].version, version) != 0)
		fail_msg("kind %d %s %s, not %s %s", (int) event.kind,
				 event.count == 0 ? "" : event.records[0].name,
				 event.count == 0 ? "" : event.records[0].version, name, version);
}

static void
assert_synced(FhaLock *lock)
{
	FhaLockEvent event;

	next_event(lock, &event);
	if (event.kind != FHA_LOCK_SYNCED)
		fail_msg("kind %d %s", (int) event.kind, event.count == 0 ? "" : event.records[0].name);
}

/* Step until the server has been asked so often. */
static void
wait_for(FhaLock *lock, const _Atomic int *count, int wanted)
{
	int64_t bound_at_ms = fha_now_ms() + BOUND_MS;
	FhaLockEvent event;

	while (atomic_load(count) < wanted)
	{
		assert_true(fha_now_ms() < bound_at_ms);
		skip_pause(lock);
		assert_int_equal(fha_lock_step(lock, &event), FHA_AGAIN);
		(void) poll(NULL, 0, 5);
	}
}

static FhaLock *
begin_watch(const char *list, const char *lines)
{
	(void) snprintf(play->list, sizeof(play->list), "%s", list);
	(void) snprintf(play->watch, sizeof(play->watch), "%s", lines);
	return open_lock(true);
}

static void
a_watch_tells_what_is_there_and_then_each_change(void **state)
{
	FhaLock *lock = begin_watch(LIST("7", LEASE("a", "5") "," LEASE("b", "6")),
								LINE("MODIFIED", LEASE("a", "8")) LINE("DELETED", LEASE("b", "9"))
									LINE("ADDED", LEASE("c", "10")));

	(void) state;
	assert_told(lock, "a", "5");
	assert_true(fha_lock_wake_at_ms(lock) <= fha_now_ms());
	assert_told(lock, "b", "6");
	assert_synced(lock);
	assert_told(lock, "a", "8");
	assert_told(lock, "b", "");
	assert_told(lock, "c", "10");
	assert_int_equal(atomic_load(&play->lists), 1);
	fha_lock_close(lock);
}

/* Other clusters' Leases are left out; the uri's name goes before. */
static void
a_watch_is_of_one_cluster(void **state)
{
	char other[320];
	FhaLock *lock = begin_watch(LIST("7", ""), "");
	FhaError err;

	(void) state;
	assert_synced(lock);
	wait_for(lock, &play->watches, 1);
	assert_non_null(strstr(play->path, "managed-by%3Dfawkes-ha%2Cfawkes-ha%2Fcluster%3Ddb-test"));
	assert_non_null(strstr(play->path, "&resourceVersion=7&"));
	assert_non_null(strstr(play->path, "/namespaces/fawkes/leases?"));
	fha_lock_close(lock);
	(void) snprintf(other, sizeof(other), "%s?cluster=db-other&namespace=elsewhere&context=c", uri);
	assert_int_equal(fha_lock_open(&lock, other, "db-test", true, &err), FHA_OK);
	assert_synced(lock);
	assert_non_null(strstr(play->path, "fawkes-ha%2Fcluster%3Ddb-other"));
	assert_non_null(strstr(play->path, "/namespaces/elsewhere/leases?"));
	fha_lock_close(lock);
	assert_int_equal(fha_lock_open(&lock, uri, NULL, true, &err), FHA_OK);
	assert_synced(lock);
	assert_null(strstr(play->path, "fawkes-ha%2Fcluster"));
	fha_lock_close(lock);
	assert_int_equal(fha_lock_open(&lock, uri, "a b", true, &err), FHA_INVALID);
}

/* It goes on from the newest version that it was told of, a bookmark's too. */
static void
a_watch_that_ends_goes_on(void **state)
{
	FhaLock *lock;

	(void) state;
	atomic_store(&play->watch_stays, false);
	lock = begin_watch(LIST("7", LEASE("a", "5")),
					   LINE("MODIFIED", LEASE("a", "8"))
						   LINE("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"12\"}}"));
	assert_told(lock, "a", "5");
	assert_synced(lock);
	assert_told(lock, "a", "8");
	wait_for(lock, &play->watches, 2);
	assert_non_null(strstr(play->path, "&resourceVersion=12&"));
	assert_int_equal(atomic_load(&play->lists), 1);
	fha_lock_close(lock);
}

/* One that has lasted goes on at once; one that ends as it begins would be a load. */
static void
a_watch_that_ends_at_once_waits(void **state)
{
	FhaLock *lock;

	(void) state;
	atomic_store(&play->watch_stays, false);
	lock = begin_watch(LIST("7", ""), LINE("ADDED", LEASE("a", "8")));
	assert_synced(lock);
	assert_told(lock, "a", "8");
	while (fha_lock_wake_at_ms(lock) > fha_now_ms() + 1000)
	{
		FhaLockEvent event;

		assert_int_equal(fha_lock_step(lock, &event), FHA_AGAIN);
		(void) poll(NULL, 0, 1);
	}
	assert_int_equal(atomic_load(&play->watches), 1);
	wait_for(lock, &play->watches, 2);
	fha_lock_close(lock);
	atomic_store(&play->watches, 0);
	atomic_store(&play->watch_ms, 1200);
	lock = begin_watch(LIST("7", ""), "");
	assert_synced(lock);
	wait_for(lock, &play->watches, 2);
	fha_lock_close(lock);
}

/* Everything is told anew, what is gone as well. */
static void
assert_begins_anew(FhaLock *lock)
{
	(void) snprintf(play->list, sizeof(play->list), "%s",
					LIST("30", LEASE("b", "20") "," LEASE("c", "21")));
	assert_told(lock, "b", "20");
	assert_told(lock, "c", "21");
	assert_told(lock, "a", "");
	assert_synced(lock);
	wait_for(lock, &play->watches, 2);
	assert_non_null(strstr(play->path, "&resourceVersion=30&"));
	assert_int_equal(atomic_load(&play->lists), 2);
	fha_lock_close(lock);
}

static FhaLock *
begin_a_watch_that_fails(const char *lines)
{
	FhaLock *lock = begin_watch(LIST("7", LEASE("a", "5") "," LEASE("b", "6")), lines);

	assert_told(lock, "a", "5");
	assert_told(lock, "b", "6");
	assert_synced(lock);
	return lock;
}

static void
what_is_forgotten_is_listed_anew(void **state)
{
	(void) state;
	atomic_store(&play->watch_status, 410);
	assert_begins_anew(begin_a_watch_that_fails(""));
}

static void
a_watch_that_is_refused_in_a_line_begins_anew(void **state)
{
	(void) state;
	assert_begins_anew(begin_a_watch_that_fails(
		"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410}}\n"));
}

static void
a_line_that_makes_no_sense_begins_anew(void **state)
{
	(void) state;
	assert_begins_anew(begin_a_watch_that_fails("no JSON\n"));
}

static void
an_object_that_makes_no_sense_begins_anew(void **state)
{
	(void) state;
	assert_begins_anew(begin_a_watch_that_fails(LINE(
		"ADDED", "{\"metadata\":{\"name\":\"c\",\"resourceVersion\":\"8\",\"annotations\":7}}")));
}

/* The connection may be dead without a word: bookmarks come once a minute. */
static void
a_watch_that_has_gone_silent_goes_on_anew(void **state)
{
	FhaLock *lock;

	(void) state;
	silence_ms = SOON_MS;
	lock = begin_a_watch_that_fails("");
	wait_for(lock, &play->watches, 2);
	assert_non_null(strstr(play->path, "&resourceVersion=7&"));
	fha_lock_close(lock);
}

/* Whom the API server left without an answer it may have left without news as well. */
static void
a_request_without_an_answer_begins_the_watch_anew(void **state)
{
	FhaLock *lock = begin_a_watch_that_fails("");
	FhaLockRequest request = request_of(FHA_LOCK_SWAP, SOON_MS);
	FhaLockEvent event;

	(void) state;
	wait_for(lock, &play->watches, 1);
	atomic_store(&play->manner, SILENT);
	assert_int_equal(fha_lock_start(lock, &request, NULL), FHA_OK);
	next_event(lock, &event);
	assert_int_equal(event.kind, FHA_LOCK_ANSWER);
	assert_int_equal(event.code, FHA_UNKNOWN);
	assert_begins_anew(lock);
}

static void
a_request_without_an_answer_begins_the_list_anew(void **state)
{
	FhaLockRequest request = request_of(FHA_LOCK_LIST, SOON_MS);
	FhaLockEvent event;
	FhaLock *lock;

	(void) state;
	atomic_store(&play->list_manner, SILENT);
	lock = begin_watch(LIST("7", LEASE("a", "5")), "");
	wait_for(lock, &play->lists, 1);
	atomic_store(&play->list_manner, SILENT);
	assert_int_equal(fha_lock_start(lock, &request, NULL), FHA_OK);
	next_event(lock, &event);
	assert_int_equal(event.code, FHA_TIMEOUT);
	assert_told(lock, "a", "5");
	assert_synced(lock);
	request.deadline_at_ms = fha_now_ms() + BOUND_MS;
	assert_int_equal(fha_lock_call(lock, &request, &event), FHA_OK);
	assert_int_equal(event.count, 1);
	assert_string_equal(event.records[0].name, "a");
	fha_lock_close(lock);
}

/* An API server that comes back has many who ask: a list that fails is not repeated at once. */
static void
a_list_that_fails_is_asked_for_again_later(void **state)
{
	static const char *const lists[] = {"no JSON", LIST("", ""),
										"{\"metadata\":{\"resourceVersion\":\"7\",\"continue\":"
										"\"more\"},\"items\":[]}"};
	FhaLock *lock;
	FhaLockEvent event;

	(void) state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]) + 1; i++)
	{
		bool refused = i == sizeof(lists) / sizeof(lists[0]);

		atomic_store(&play->lists, 0);
		atomic_store(&play->list_status, refused ? 503 : 200);
		(void) snprintf(play->list_head, sizeof(play->list_head), "%s",
						refused ? "Retry-After: 3\r\n" : "");
		lock = begin_watch(refused ? "{}" : lists[i], "");
		wait_for(lock, &play->lists, 1);
		(void) snprintf(play->list, sizeof(play->list), "%s", LIST("8", ""));
		while (fha_lock_step(lock, &event) == FHA_AGAIN &&
			   fha_lock_wake_at_ms(lock) <= fha_now_ms() + (refused ? 2000 : 500))
			(void) poll(NULL, 0, 5);
		assert_synced(lock);
		assert_int_equal(atomic_load(&play->lists), 2);
		fha_lock_close(lock);
	}
}

/* --- tests: its name */

static void
a_name_that_cannot_be_is_refused(void **state)
{
	static const char *const names[] = {"kubernetes:relative",     "kubernetes:?",
										"kubernetes:?namespace=",  "kubernetes:?namespace=a_b",
										"kubernetes:?cluster=-a",  "kubernetes:?user=a",
										"kubernetes:?context=a&&", "kubernetes:?=a"};
	char text[FHA_RECORD_DATA_MAX / 100];
	FhaLock *lock;
	FhaError err;

	(void) state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (fha_lock_check(names[i], &err) != FHA_INVALID || err.text[0] == '\0')
			fail_msg("taken: %s", names[i]);
	assert_int_equal(fha_lock_check("kubernetes:", &err), FHA_OK);
	assert_int_equal(fha_lock_check("kubernetes:/k?context=a b&namespace=n&cluster=c", &err),
					 FHA_OK);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text, "kubernetes:/", 12);
	assert_int_equal(fha_lock_check(text, &err), FHA_INVALID);
	assert_int_equal(fha_lock_open(&lock, text, NULL, false, &err), FHA_INVALID);
	(void) snprintf(text, sizeof(text), "kubernetes:%s/missing", directory);
	assert_int_equal(fha_lock_open(&lock, text, NULL, false, &err), FHA_INVALID);
	assert_int_equal(setenv("KUBERNETES_SERVICE_HOST", "", 1), 0);
	assert_int_equal(fha_lock_open(&lock, "kubernetes:?namespace=n", NULL, false, &err),
					 FHA_INVALID);
	assert_non_null(strstr(err.text, "not in a pod"));
}

/* Who asks the API server for something else goes by the lock's name, too. */
static void
the_client_of_a_lock(void **state)
{
	FhaKube *kube;
	FhaError err;

	(void) state;
	assert_int_equal(fha_kube_open_of_lock(&kube, "dir:/lock", &err), FHA_NOT_FOUND);
	assert_int_equal(fha_kube_open_of_lock(&kube, "kubernetes:x", &err), FHA_INVALID);
	assert_null(kube);
	assert_int_equal(fha_kube_open_of_lock(&kube, uri, &err), FHA_OK);
	assert_string_equal(fha_kube_namespace(kube), "fawkes");
	fha_kube_close(kube);
}

static int
set_up(void **state)
{
	(void) state;
	memset(play, 0, sizeof(*play));
	atomic_store(&play->status, 200);
	atomic_store(&play->list_status, 200);
	atomic_store(&play->watch_status, 200);
	atomic_store(&play->watch_stays, true);
	(void) snprintf(play->answer, sizeof(play->answer), "%s", LEASE("db-test", "43"));
	silence_ms = 0;
	return 0;
}

static void
write_kubeconfig(const char *name, int port)
{
	char text[1024];

	(void) snprintf(text, sizeof(text),
					"current-context: c\n"
					"contexts: [{name: c, context: {cluster: k, user: u, namespace: fawkes}}]\n"
					"clusters: [{name: k, cluster: {server: \"https://127.0.0.1:%d\", "
					"certificate-authority: ca}}]\n"
					"users: [{name: u, user: {token: t}}]\n",
					port);
	write_file(name, text);
}

static int
start(void **state)
{
	(void) state;
	play = mmap(NULL, sizeof(*play), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEEDED(play != MAP_FAILED && mkdtemp(directory) != NULL);
	identity_init(&server_identity, "server", "IP:127.0.0.1");
	identity_init(&client_identity, "client", "DNS:client");
	https_server_start(&server_identity, &client_identity);
	write_file("ca", server_identity.cert_pem);
	write_kubeconfig("kubeconfig", server_port);
	write_kubeconfig("nobody", 1);
	(void) snprintf(uri, sizeof(uri), "kubernetes:%s/kubeconfig", directory);
	return 0;
}

static int
stop(void **state)
{
	static const char *const names[] = {"ca", "kubeconfig", "nobody"};
	char path[128];

	(void) state;
	https_server_stop();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		(void) snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		(void) unlink(path);
	}
	(void) rmdir(directory);
	identity_release(&server_identity);
	identity_release(&client_identity);
	return 0;
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {TEST(a_status_says_what_is_certain),
									   TEST(a_write_that_was_only_refused_for_now_is_unknown),
									   TEST(s1_a_write_without_a_whole_answer_is_unknown),
									   TEST(s1_a_write_that_met_its_deadline_is_unknown),
									   TEST(s1_a_write_whose_answer_makes_no_sense_is_unknown),
									   TEST(a_write_to_nobody_was_not_applied),
									   TEST(s1_what_is_no_version_is_not_sent),
									   TEST(a_watch_tells_what_is_there_and_then_each_change),
									   TEST(a_watch_is_of_one_cluster),
									   TEST(a_watch_that_ends_goes_on),
									   TEST(a_watch_that_ends_at_once_waits),
									   TEST(what_is_forgotten_is_listed_anew),
									   TEST(a_watch_that_is_refused_in_a_line_begins_anew),
									   TEST(a_line_that_makes_no_sense_begins_anew),
									   TEST(an_object_that_makes_no_sense_begins_anew),
									   TEST(a_watch_that_has_gone_silent_goes_on_anew),
									   TEST(a_request_without_an_answer_begins_the_watch_anew),
									   TEST(a_request_without_an_answer_begins_the_list_anew),
									   TEST(a_list_that_fails_is_asked_for_again_later),
									   TEST(a_name_that_cannot_be_is_refused),
									   TEST(the_client_of_a_lock)};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("lock_kube", tests, start, stop);
}
