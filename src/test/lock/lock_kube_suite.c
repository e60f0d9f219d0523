/*
 * lock_kube_suite.c: the lock of Kubernetes, by the suite for all drivers, on a real API server.
 *
 * test/test_kube_lock.py starts it: FAWKES_KUBECONFIG names a kubeconfig whose server is
 * 127.0.0.1:FAWKES_KUBE_PORT, where this program forwards to FAWKES_KUBE_API (a port as well), so
 * that it can hold answers back; FAWKES_KUBE_CLEAN is a command that deletes all Leases.
 */
#include "test/lock/conformance.c"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "kube/answer.h"
#include "kube/client.h"

#define PAIRS_MAX 128

/* In shared memory: set by the suite, done by the forwarder or by whichever process writes next. */
typedef struct Tricks
{
	_Atomic bool hold; /* the next write waits before it is sent */
	_Atomic pid_t held;
	_Atomic bool mute; /* the next connection that asks is never answered */
	_Atomic bool hang; /* nothing is forwarded */
} Tricks;

typedef struct Pair
{
	int client; /* -1: free */
	int server;
	int asked; /* how often the client has sent: first its hello, then its request */
	bool mute;
} Pair;

static Tricks *tricks;
static pid_t forwarder;

FhaCode __real_fha_kube_start(FhaKube *kube, const FhaKubeRequest *request, unsigned *id,
							  FhaError *err);
FhaCode __wrap_fha_kube_start(FhaKube *kube, const FhaKubeRequest *request, unsigned *id,
							  FhaError *err);

FhaCode
__wrap_fha_kube_start(FhaKube *kube, const FhaKubeRequest *request, unsigned *id, FhaError *err)
{
	if (fha_kube_is_write(request->verb) && atomic_exchange(&tricks->hold, false))
	{
		atomic_store(&tricks->held, getpid());
		while (atomic_load(&tricks->held) != 0)
			wait_a_moment();
	}
	return __real_fha_kube_start(kube, request, id, err);
}

static int
port_of(const char *name)
{
	const char *text = getenv(name);

	if (text == NULL)
		abort();
	return (int) strtol(text, NULL, 10);
}

static struct sockaddr_in
loopback(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
								.sin_port = htons((uint16_t) port),
								.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void
hang_up(Pair *pair)
{
	(void) close(pair->client);
	(void) close(pair->server);
	pair->client = pair->server = -1;
}

static void
accept_pair(int listener, Pair *pairs)
{
	struct sockaddr_in api = loopback(port_of("FAWKES_KUBE_API"));
	int client = accept(listener, NULL, NULL);

	for (int i = 0; i < PAIRS_MAX; i++)
	{
		if (pairs[i].client >= 0)
			continue;
		pairs[i] = (Pair){.client = client, .server = socket(AF_INET, SOCK_STREAM, 0)};
		if (connect(pairs[i].server, (struct sockaddr *) &api, sizeof(api)) != 0)
			hang_up(&pairs[i]);
		return;
	}
	(void) close(client);
}

static bool
pass_on(int from, int to, bool drop)
{
	static char buffer[65536];
	ssize_t got = recv(from, buffer, sizeof(buffer), 0);

	return got > 0 && (drop || send(to, buffer, (size_t) got, MSG_NOSIGNAL) == got);
}

/* What the client sends second is its request: TLS 1.3 needs nothing more from the server before it. */
static bool
serve_pair(Pair *pair, const struct pollfd *fds)
{
	if (fds[0].revents != 0)
	{
		if (++pair->asked > 1 && atomic_exchange(&tricks->mute, false))
			pair->mute = true;
		if (!pass_on(pair->client, pair->server, false))
			return false;
	}
	return fds[1].revents == 0 || pass_on(pair->server, pair->client, pair->mute);
}

static void
forward(int listener)
{
	static Pair pairs[PAIRS_MAX];
	static struct pollfd fds[2 * PAIRS_MAX + 1];

	for (int i = 0; i < PAIRS_MAX; i++)
		pairs[i].client = pairs[i].server = -1;
	for (;;)
	{
		while (atomic_load(&tricks->hang))
			wait_a_moment();
		fds[2 * PAIRS_MAX] = (struct pollfd){.fd = listener, .events = POLLIN};
		for (int i = 0; i < PAIRS_MAX; i++)
		{
			fds[2 * i] = (struct pollfd){.fd = pairs[i].client, .events = POLLIN};
			fds[2 * i + 1] = (struct pollfd){.fd = pairs[i].server, .events = POLLIN};
		}
		if (poll(fds, 2 * PAIRS_MAX + 1, 5) <= 0 || atomic_load(&tricks->hang))
			continue;
		for (int i = 0; i < PAIRS_MAX; i++)
			if (pairs[i].client >= 0 && !serve_pair(&pairs[i], &fds[2 * i]))
				hang_up(&pairs[i]);
		if (fds[2 * PAIRS_MAX].revents != 0)
			accept_pair(listener, pairs);
	}
}

static void
kube_make(char *out, size_t size)
{
	struct sockaddr_in here = loopback(port_of("FAWKES_KUBE_PORT"));
	int yes = 1;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (system(getenv("FAWKES_KUBE_CLEAN")) != 0 ||
		setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
		bind(listener, (struct sockaddr *) &here, sizeof(here)) != 0 || listen(listener, 64) != 0)
		abort();
	memset(tricks, 0, sizeof(*tricks));
	forwarder = fork();
	if (forwarder == 0)
	{
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
		forward(listener);
	}
	(void) close(listener);
	(void) snprintf(out, size, "kubernetes:%s", getenv("FAWKES_KUBECONFIG"));
}

static void
kube_unmake(void)
{
	(void) kill(forwarder, SIGKILL);
	(void) waitpid(forwarder, NULL, 0);
}

static void
kube_write_hold(void)
{
	atomic_store(&tricks->held, 0);
	atomic_store(&tricks->hold, true);
}

static bool
kube_write_held(void)
{
	return atomic_load(&tricks->held) != 0;
}

static void
kube_write_release(void)
{
	atomic_store(&tricks->hang, false);
	atomic_store(&tricks->held, 0);
}

static void
kube_reply_lose(void)
{
	atomic_store(&tricks->mute, true);
}

static void
kube_lock_hang(void)
{
	atomic_store(&tricks->hang, true);
}

static Fixture kubernetes = {.make = kube_make,
							 .unmake = kube_unmake,
							 .write_hold = kube_write_hold,
							 .write_held = kube_write_held,
							 .write_release = kube_write_release,
							 .reply_lose = kube_reply_lose,
							 .lock_hang = kube_lock_hang};

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {CONFORMANCE(test_basics, &kubernetes),
									   CONFORMANCE(test_large_records, &kubernetes),
									   CONFORMANCE(test_lost_update, &kubernetes),
									   CONFORMANCE(test_stale_version, &kubernetes),
									   CONFORMANCE(test_no_revert, &kubernetes),
									   CONFORMANCE(test_watch_order, &kubernetes),
									   CONFORMANCE(test_watch_misses_nothing, &kubernetes),
									   CONFORMANCE(test_watch_slow_reader, &kubernetes),
									   CONFORMANCE(test_watch_every_write, &kubernetes),
									   CONFORMANCE(test_writer_killed, &kubernetes),
									   CONFORMANCE(test_writer_stopped_in_swap, &kubernetes),
									   CONFORMANCE(test_writer_stopped_in_create, &kubernetes),
									   CONFORMANCE(test_race, &kubernetes),
									   CONFORMANCE(test_reply_lost, &kubernetes),
									   CONFORMANCE(test_hostile_requests, &kubernetes),
									   CONFORMANCE(test_hang, &kubernetes)};

	tricks = mmap(NULL, sizeof(*tricks), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tricks == MAP_FAILED)
		return 1;
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("lock_kube", tests, NULL, NULL);
}
