/*
 * store_suite.c: the suite for all drivers, on a real server.
 *
 * Tests of test/test_store_*.py start it.  FAWKES_STORE_URL names the store; each case has a prefix of its
 * own below it.  FAWKES_STORE_ENDPOINT is where it is, as "http://127.0.0.1:PORT".
 * FAWKES_STORE_BY is key or sas; FAWKES_STORE_ACCESS, if it is set, and FAWKES_STORE_SECRET belong to it.
 * FAWKES_STORE_LEFT_OUT has the names of cases that the server itself fails, with a blank behind each.
 * A forwarder between the driver and the server cuts answers.
 */
#include "test/store/conformance.c"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

/* In shared memory: set by the suite, done by the process of whichever connection comes first. */
typedef struct Tricks
{
	_Atomic int64_t cut; /* -1: none; so much of the next GET's body is let through */
	_Atomic bool lose;   /* the next write's answer is not */
	_Atomic bool hang;   /* nothing is */
} Tricks;

static Tricks *tricks;
static pid_t forwarder;
static int server_port;
static int forwarder_port;

/* --- the forwarder: a process for each connection */

typedef struct Pair
{
	int client;
	int server;
	bool answered; /* the last bytes were the server's */
	bool lose;     /* the answer that comes is not let through */
	int64_t left;  /* of the answer's body; -1: all */
	size_t ends;   /* how much of "\r\n\r\n" was seen */
	bool hung;
} Pair;

static int
socket_of_loopback(int port, bool listens)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
								  .sin_port = htons((uint16_t) port),
								  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
		abort();
	if (listens
			? bind(fd, (struct sockaddr *) &address, sizeof(address)) != 0 || listen(fd, 128) != 0
			: connect(fd, (struct sockaddr *) &address, sizeof(address)) != 0)
		abort();
	return fd;
}

static bool
write_whole(int fd, const char *data, size_t size)
{
	while (size > 0)
	{
		ssize_t done = write(fd, data, size);

		if (done <= 0)
			return false;
		data += done;
		size -= (size_t) done;
	}
	return true;
}

/* A request begins: is a trick meant for it? */
static void
pair_asked(Pair *pair, const char *data, size_t size)
{
	bool is_get = size >= 4 && memcmp(data, "GET ", 4) == 0;
	bool is_head = size >= 5 && memcmp(data, "HEAD ", 5) == 0;

	pair->answered = false;
	pair->left = -1;
	pair->ends = 0;
	if (is_get)
		pair->left = atomic_exchange(&tricks->cut, -1);
	else if (!is_head)
		pair->lose = atomic_exchange(&tricks->lose, false);
}

/* How much of an answer's bytes is let through; all if it is not to be cut here. */
static size_t
pair_let_through(Pair *pair, const char *data, size_t size)
{
	static const char end[] = "\r\n\r\n";
	size_t at = 0;

	if (pair->left < 0)
		return size;
	for (; at < size && pair->ends < 4; at++)
		pair->ends = data[at] == end[pair->ends] ? pair->ends + 1 : data[at] == '\r' ? 1 : 0;
	if ((int64_t) (size - at) <= pair->left)
	{
		pair->left -= (int64_t) (size - at);
		return size;
	}
	return at + (size_t) pair->left;
}

/* False: the connection ends. */
static bool
pair_forward(Pair *pair, int from, int to)
{
	static char data[256 * 1024];
	ssize_t size = read(from, data, sizeof(data));
	size_t through = (size_t) size;

	if (size <= 0)
		return false;
	if (from == pair->client && pair->answered)
		pair_asked(pair, data, (size_t) size);
	if (from == pair->server)
	{
		pair->answered = true;
		if (pair->lose)
			return false;
		through = pair_let_through(pair, data, (size_t) size);
	}
	return write_whole(to, data, through) && through == (size_t) size;
}

static void
pair_serve(int client)
{
	Pair pair = {.client = client, .answered = true, .left = -1};
	bool open = true;

	pair.server = socket_of_loopback(server_port, false);
	while (open)
	{
		struct pollfd fds[] = {{.fd = pair.client, .events = POLLIN},
							   {.fd = pair.server, .events = POLLIN}};

		if (atomic_load(&tricks->hang))
			pair.hung = true;
		(void) poll(pair.hung ? NULL : fds, pair.hung ? 0 : 2, 10);
		/* What was held back is never sent: the server was away. */
		if (pair.hung)
			open = atomic_load(&tricks->hang);
		else if (fds[0].revents != 0)
			open = pair_forward(&pair, pair.client, pair.server);
		else if (fds[1].revents != 0)
			open = pair_forward(&pair, pair.server, pair.client);
	}
	_exit(0);
}

static void
forwarder_serve(int listening)
{
	(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void) signal(SIGCHLD, SIG_IGN);
	(void) signal(SIGPIPE, SIG_IGN);
	for (;;)
	{
		int client = accept(listening, NULL, NULL);

		if (client < 0)
			abort();
		if (fork() == 0)
		{
			(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
			pair_serve(client);
		}
		(void) close(client);
	}
}

static void
forwarder_start(void)
{
	struct sockaddr_in address;
	socklen_t size = sizeof(address);
	int listening = socket_of_loopback(0, true);

	tricks = mmap(NULL, sizeof(*tricks), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tricks == MAP_FAILED || getsockname(listening, (struct sockaddr *) &address, &size) != 0)
		abort();
	atomic_store(&tricks->cut, -1);
	forwarder_port = ntohs(address.sin_port);
	forwarder = fork();
	if (forwarder == 0)
		forwarder_serve(listening);
	(void) close(listening);
}

/* --- the fixture */

static char *
text_of(const char *name)
{
	char *text = getenv(name);

	if (text == NULL)
	{
		(void) fprintf(stderr, "%s is not set\n", name);
		exit(2);
	}
	return text;
}

static unsigned cases;

static void
server_make(void)
{
	cases++;
}

static void
server_unmake(void)
{
	/* Each case has a prefix of its own, and the server goes with the test. */
}

static FhaStore *
server_open(void)
{
	bool is_key = strcmp(text_of("FAWKES_STORE_BY"), "key") == 0;
	FhaStoreSettings settings = {.identity = is_key ? FHA_STORE_BY_KEY : FHA_STORE_BY_SAS,
								 .access = {.text = getenv("FAWKES_STORE_ACCESS")},
								 .secret = {.text = text_of("FAWKES_STORE_SECRET")},
								 .region = "us-east-1",
								 .path_style = true};
	char url[300];
	FhaStore *store;
	FhaError err;

	(void) snprintf(url, sizeof(url), "%s/suite-%d-%u", text_of("FAWKES_STORE_URL"), (int) getpid(),
					cases);
	if (fha_store_url_parse(&settings, url, &err) != FHA_OK)
		fail_msg("%s", err.text);
	(void) snprintf(settings.endpoint, sizeof(settings.endpoint), "http://127.0.0.1:%d",
					forwarder_port);
	if (fha_store_open(&store, &settings, &err) != FHA_OK)
		fail_msg("%s", err.text);
	return store;
}

static void
server_cut_body(uint64_t after)
{
	atomic_store(&tricks->cut, (int64_t) after);
}

static void
server_lose_answer(void)
{
	atomic_store(&tricks->lose, true);
}

static void
server_hang(void)
{
	atomic_store(&tricks->hang, true);
}

static void
server_release(void)
{
	atomic_store(&tricks->hang, false);
}

static StoreFixture server_fixture = {
	.make = server_make,
	.unmake = server_unmake,
	.open = server_open,
	.holds_any_key = false,
	.page_objects = FHA_STORE_LIST_MAX + 5,
	.cut_body = server_cut_body,
	.lose_answer = server_lose_answer,
	.hang = server_hang,
	.release = server_release,
};

int
main(void)
{
	const char *port = strrchr(text_of("FAWKES_STORE_ENDPOINT"), ':');
	int failed;

	server_port = port == NULL ? 0 : atoi(port + 1);
	server_fixture.left_out = getenv("FAWKES_STORE_LEFT_OUT");
	forwarder_start();
	failed = store_suite_main(&server_fixture, NULL, 0);
	(void) kill(forwarder, SIGKILL);
	return failed;
}
