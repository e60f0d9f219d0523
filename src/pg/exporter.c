/*
 * exporter.c: metrics over HTTP, in Prometheus' text format.
 *
 * A process of its own with no database connection, which waits for nobody: it answers while the
 * server recovers and while SQL hangs, then with the last values and their age.  What fawkes_ha
 * measures of itself comes from shared memory at the moment of the answer; the rest from collectors
 * (collector.h), asked when somebody scrapes and not more than once a second.  Nothing it does can
 * delay the lock: the agent is another process.
 */
#include "postgres.h"

#include <poll.h>
#include <unistd.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/listen.h"
#include "http/server.h"
#include "node/state.h"
#include "pg/collector.h"
#include "pg/compat.h"
#include "pg/exporter.h"
#include "pg/exporter_rows.h"
#include "pg/exporter_status.h"
#include "pg/guc.h"
#include "pg/own_metrics.h"
#include "pg/report.h"
#include "pg/shmem.h"
#include "show/prometheus.h"

/* Who scrapes within this time of a collection shares it. */
#define FRESH_MS 1000
/* Who scrapes waits so long for a collection; Prometheus gives up after 10 s. */
#define PATIENCE_MS 2000
#define CONNECTION_MS 8000
/* A collector that has not answered for so long is ended. */
#define COLLECTOR_MS 20000
/* After a collector that failed, and for a port that another program has. */
#define RETRY_MS 5000
/* Databases other than ours are asked no more often: each costs a process. */
#define VISITS_MS 10000
#define TOKEN_MAX 1024
#define PEM_MAX (64 * 1024)

PGDLLEXPORT void fawkes_ha_exporter_main(Datum argument);

/* A collector at work, or one that waits to be asked. */
typedef struct Collector
{
	dsm_segment *memory; /* NULL: there is none */
	shm_mq_handle *queue;
	BackgroundWorkerHandle *worker;
	int64 asked_at_ms; /* 0: nothing is asked of it */
	int64 retry_at_ms; /* none is started before */
	Rows *rows;        /* what it collects for */
} Collector;

typedef struct Exporter
{
	FhaConfig config;
	FhaListener *listener;
	int listen_fd;
	int64 listen_at_ms; /* not before */
	char *token;        /* NULL: none is wanted */
	char *pem[3];       /* certificate, key, authority; NULL: none */

	bool wanted; /* somebody waits for a collection */
	uint64 waited;
	uint64 answered;
	Collector server;
	Collector visitor;
	Rows *databases; /* the list of those that were seen, server first */
	int64 visited_at_ms;
	Rows *next;   /* the one to be visited; NULL: the round is over */
	bool visited; /* one round is over */
} Exporter;

static Exporter exporter;

void
exporter_register(void)
{
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS,
		.bgw_start_time = BgWorkerStart_PostmasterStart,
		.bgw_restart_time = 5,
		.bgw_library_name = "fawkes_ha",
		.bgw_function_name = "fawkes_ha_exporter_main",
		.bgw_name = "fawkes_ha exporter",
		.bgw_type = "fawkes_ha exporter",
	};

	if (guc_exporter_listen[0] != '\0')
		RegisterBackgroundWorker(&worker);
}

/* --- collectors */

static void
collector_dismiss(Collector *collector)
{
	if (collector->memory == NULL)
		return;
	TerminateBackgroundWorker(collector->worker);
	shm_mq_detach(collector->queue);
	dsm_detach(collector->memory);
	pfree(collector->worker);
	collector->memory = NULL;
	collector->asked_at_ms = 0;
}

static void
collector_failed(Collector *collector, const char *why)
{
	rows_failed(collector->rows, "collector", why);
	resetStringInfo(&collector->rows->coming);
	collector_dismiss(collector);
	collector->retry_at_ms = fha_now_ms() + RETRY_MS;
}

static bool
collector_hire(Collector *collector, const char *database, bool whole_server)
{
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_ConsistentState,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_library_name = "fawkes_ha",
		.bgw_function_name = "fawkes_ha_collector_main",
		.bgw_name = "fawkes_ha collector",
		.bgw_type = "fawkes_ha collector",
		.bgw_notify_pid = MyProcPid,
	};
	CollectorSegment *segment;
	shm_mq *queue;

	collector->memory = dsm_create(COLLECTOR_SEGMENT_SIZE, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	if (collector->memory == NULL)
		return false;
	segment = dsm_segment_address(collector->memory);
	memset(segment, 0, sizeof(*segment));
	pg_atomic_init_u32(&segment->wanted, 0);
	segment->whole_server = whole_server;
	strlcpy(segment->database, database, NAMEDATALEN);
	queue = shm_mq_create(COLLECTOR_QUEUE(segment), COLLECTOR_QUEUE_SIZE);
	shm_mq_set_receiver(queue, MyProc);
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(collector->memory));
	if (!RegisterDynamicBackgroundWorker(&worker, &collector->worker))
	{
		dsm_detach(collector->memory);
		collector->memory = NULL;
		return false;
	}
	collector->queue = shm_mq_attach(queue, collector->memory, collector->worker);
	return true;
}

static void
collector_ask(Collector *collector, Rows *rows, bool whole_server)
{
	CollectorSegment *segment;
	PGPROC *sender;

	if (fha_now_ms() < collector->retry_at_ms)
		return;
	collector->rows = rows;
	rows_begin(rows);
	if (collector->memory == NULL && !collector_hire(collector, rows->database, whole_server))
	{
		collector_failed(collector, "no background worker is free: raise max_worker_processes");
		return;
	}
	segment = dsm_segment_address(collector->memory);
	collector->asked_at_ms = fha_now_ms();
	pg_atomic_fetch_add_u32(&segment->wanted, 1);
	sender = shm_mq_get_sender(COLLECTOR_QUEUE(segment));
	if (sender != NULL)
		SetLatch(&sender->procLatch);
}

/* What has come of it.  True: the collection has ended, well or not. */
static bool
collector_hear(Collector *collector)
{
	shm_mq_result result;
	Size size;
	void *message;

	if (collector->memory == NULL)
		return false;
	while ((result = shm_mq_receive(collector->queue, &size, &message, true)) == SHM_MQ_SUCCESS)
		if (rows_take(collector->rows, &exporter.databases, message, size))
		{
			collector->asked_at_ms = 0;
			return true;
		}
	if (result == SHM_MQ_DETACHED)
	{
		bool asked = collector->asked_at_ms != 0;

		if (asked)
			collector_failed(collector, "the collector ended: the server's log says why");
		else
			collector_dismiss(collector);
		return asked;
	}
	if (collector->asked_at_ms != 0 && fha_now_ms() >= collector->asked_at_ms + COLLECTOR_MS)
	{
		collector_failed(collector, "the collector did not answer");
		return true;
	}
	return false;
}

/* The other databases, one after the other. */
static void
exporter_visit(void)
{
	if (exporter.visitor.memory != NULL)
	{
		if (!collector_hear(&exporter.visitor))
			return;
		collector_dismiss(&exporter.visitor);
		exporter.next = exporter.next->next;
	}
	while (exporter.next != NULL && !exporter.next->exists)
		exporter.next = exporter.next->next;
	if (exporter.next != NULL)
	{
		exporter.visitor.retry_at_ms = 0;
		collector_ask(&exporter.visitor, exporter.next, false);
		/* No worker was free: its turn comes again with the next round. */
		if (exporter.visitor.memory == NULL)
			exporter.next = exporter.next->next;
	}
	else if (exporter.visited_at_ms != 0)
		exporter.visited = true;
}

/* The first round of visits is waited for, but not a visit that hangs. */
static bool
is_fresh(void)
{
	int64 now_ms = fha_now_ms();

	return exporter.databases->got_at_ms != 0 &&
		   now_ms < exporter.databases->got_at_ms + FRESH_MS &&
		   (exporter.visited ||
			(exporter.visited_at_ms != 0 && now_ms >= exporter.visited_at_ms + PATIENCE_MS));
}

/* Nothing better will come soon: no collector can be had, or it does not answer. */
static bool
is_hopeless(void)
{
	int64 now_ms = fha_now_ms();

	if (exporter.server.memory == NULL)
		return now_ms < exporter.server.retry_at_ms;
	return exporter.server.asked_at_ms != 0 && now_ms >= exporter.server.asked_at_ms + PATIENCE_MS;
}

static void
mind_collectors(void)
{
	int64 now_ms = fha_now_ms();

	if (collector_hear(&exporter.server) && exporter.next == NULL &&
		exporter.visitor.memory == NULL &&
		(exporter.visited_at_ms == 0 || now_ms >= exporter.visited_at_ms + VISITS_MS))
	{
		exporter.visited_at_ms = now_ms;
		exporter.next = exporter.databases->next;
	}
	exporter_visit();
	if (exporter.wanted && exporter.server.asked_at_ms == 0 &&
		(exporter.databases->got_at_ms == 0 || now_ms >= exporter.databases->got_at_ms + FRESH_MS))
		collector_ask(&exporter.server, exporter.databases, true);
	if (exporter.wanted && (is_fresh() || is_hopeless()))
	{
		exporter.wanted = false;
		if (exporter.listener != NULL)
			fha_listener_ask_again(exporter.listener);
	}
}

/* --- routes.  Nothing here raises an error: the HTTP library must not be jumped out of. */

static void
show_metrics(void *argument, const FhaAsked *asked, FhaAnswer *out)
{
	FhaPrometheus prometheus = {0};

	if (!is_fresh() && !is_hopeless())
	{
		exporter.wanted = true;
		exporter.waited++;
		return;
	}
	exporter.answered++;
	own_metrics_list(rows_own_metric, &prometheus);
	rows_show(exporter.databases, exporter.answered - Min(exporter.waited, exporter.answered),
			  exporter.waited, &prometheus);
	if (fha_prometheus_text(&prometheus, &out->text, &out->size, NULL) == FHA_OK)
		out->status = 200;
	else
		fha_answer_say(out, 503, "out of memory\n");
	fha_prometheus_clear(&prometheus);
}

static void
show_status(void *argument, const FhaAsked *asked, FhaAnswer *out)
{
	FhaServerFacts facts;

	/* Who looks at the page wants the server's values as well, and waits for nothing. */
	if (!is_fresh() && !is_hopeless())
		exporter.wanted = true;
	rows_facts(exporter.databases, &facts);
	exporter_status_document(&facts, out);
}

static void
show_file(void *argument, const FhaAsked *asked, FhaAnswer *out)
{
	if (!exporter_status_file(asked->path, out))
		fha_answer_say(out, 404, "there are /, /status and /metrics\n");
}

static const FhaRoute routes[] = {
	{.path = "/metrics",
	 .methods = FHA_GET | FHA_HEAD,
	 .type = FHA_PROMETHEUS_TYPE,
	 .answer = show_metrics},
	{.path = "/status",
	 .methods = FHA_GET | FHA_HEAD,
	 .type = "application/json",
	 .answer = show_status},
	/* The page and its files, whose types the handler knows. */
	{.path = "/", .below = true, .methods = FHA_GET | FHA_HEAD, .answer = show_file},
	{.path = NULL},
};

/* --- the listener */

/* A file's text; NULL, and it was logged, when it cannot be read. */
static char *
read_text(const char *path, size_t most)
{
	char *text;
	FhaError err;

	if (fha_file_read(path, most, &text, &err) == FHA_OK)
		return text;
	fha_report_as("exporter_file_unreadable", &err);
	return NULL;
}

static bool
read_secrets(void)
{
	const FhaConfig *config = &exporter.config;
	char path[MAXPGPATH];

	for (int i = 0; i < lengthof(exporter.pem); i++)
	{
		free(exporter.pem[i]);
		exporter.pem[i] = NULL;
	}
	free(exporter.token);
	exporter.token = NULL;
	if (config->exporter_token_file[0] != '\0')
	{
		exporter.token = read_text(config->exporter_token_file, TOKEN_MAX);
		if (exporter.token == NULL)
			return false;
		exporter.token[strcspn(exporter.token, "\r\n")] = '\0';
		if (exporter.token[0] == '\0')
		{
			ereport(LOG,
					report_line("exporter_token_empty",
								"\"%s\" is empty: the exporter does not answer without a token",
								config->exporter_token_file));
			return false;
		}
	}
	if (config->exporter_tls_directory[0] == '\0')
		return true;
	snprintf(path, sizeof(path), "%s/tls.crt", config->exporter_tls_directory);
	exporter.pem[0] = read_text(path, PEM_MAX);
	snprintf(path, sizeof(path), "%s/tls.key", config->exporter_tls_directory);
	exporter.pem[1] = read_text(path, PEM_MAX);
	if (config->exporter_client_ca_file[0] != '\0')
		exporter.pem[2] = read_text(config->exporter_client_ca_file, PEM_MAX);
	return exporter.pem[0] != NULL && exporter.pem[1] != NULL &&
		   (config->exporter_client_ca_file[0] == '\0' || exporter.pem[2] != NULL);
}

/* Once for what is new: a reload, of which a standby has one whenever it follows, opens it again. */
static void
tell_where(bool tls, const FhaError *err)
{
	static char told[1024] = "";
	char now[sizeof(told)];

	if (err != NULL)
		snprintf(now, sizeof(now), "%s", err->text);
	else
		snprintf(now, sizeof(now), "metrics are on %s://%s/metrics (fawkes_ha.exporter_listen)",
				 tls ? "https" : "http", exporter.config.exporter_listen);
	if (strcmp(now, told) == 0)
		return;
	strlcpy(told, now, sizeof(told));
	if (err == NULL)
		ereport(LOG, report_line("exporter_answers", "%s", now));
	else
		ereport(WARNING,
				(report_line("exporter_fails", "this member shows no metrics: %s", now),
				 errhint("It is tried again every %d s.  On one machine each member needs a "
						 "fawkes_ha.exporter_listen of its own.",
						 RETRY_MS / 1000)));
}

static FhaCode
open_listener(FhaError *err)
{
	FhaService service = {.routes = routes, .connection_ms = CONNECTION_MS};
	FhaCode code = FHA_OK;

	if (!read_secrets())
		return fha_error(err, FHA_INVALID, "its token or certificate cannot be used");
	service.certificate = exporter.pem[0];
	service.key = exporter.pem[1];
	service.client_ca = exporter.pem[2];
	service.token = exporter.token;
	if (exporter.listen_fd < 0)
		code = fha_listen_open("exporter_listen", exporter.config.exporter_listen,
							   &exporter.listen_fd, err);
	return code == FHA_OK
			   ? fha_listener_serve(&exporter.listener, exporter.listen_fd, &service, err)
			   : code;
}

static void
listen_again(void)
{
	FhaError err;
	FhaCode code;

	exporter.listen_at_ms = fha_now_ms() + RETRY_MS;
	code = open_listener(&err);
	tell_where(exporter.pem[0] != NULL, code == FHA_OK ? NULL : &err);
	pg_atomic_write_u32(&fawkes_shared->exporter_fails, code != FHA_OK);
}

static void
exporter_reload(void)
{
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	/* A certificate or a token may be another. */
	fha_listener_close(exporter.listener);
	exporter.listener = NULL;
	exporter.listen_at_ms = 0;
}

static int64
exporter_wake_at_ms(void)
{
	int64 wake_at_ms = PG_INT64_MAX;

	if (exporter.listener == NULL)
		wake_at_ms = exporter.listen_at_ms;
	else
		wake_at_ms = fha_listener_wake_at_ms(exporter.listener);
	wake_at_ms = Min(wake_at_ms, exporter_status_sample());
	if (exporter.wanted)
		wake_at_ms = Min(wake_at_ms, fha_now_ms() + 100);
	if (exporter.visitor.memory != NULL || exporter.next != NULL ||
		exporter.server.asked_at_ms != 0)
		wake_at_ms = Min(wake_at_ms, fha_now_ms() + 1000);
	return wake_at_ms;
}

void
fawkes_ha_exporter_main(Datum argument)
{
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	guc_config(&exporter.config);
	exporter.listen_fd = -1;
	MemoryContextSwitchTo(TopMemoryContext);
	exporter.databases = rows_database("postgres");
	for (;;)
	{
		int wanted = WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH;
		int64 left_ms;

		if (ConfigReloadPending)
			exporter_reload();
		if (ShutdownRequestPending)
			proc_exit(1); /* with 0 the postmaster would never start us again */
		if (exporter.listener == NULL && fha_now_ms() >= exporter.listen_at_ms)
			listen_again();
		if (exporter.listener != NULL)
			fha_listener_step(exporter.listener);
		mind_collectors();
		if (exporter.listener != NULL)
			fha_listener_step(exporter.listener);
		/* Somebody may have come with that step. */
		mind_collectors();
		left_ms = exporter_wake_at_ms() - fha_now_ms();
		if (exporter.listener != NULL)
			wanted |= WL_SOCKET_READABLE;
		(void) WaitLatchOrSocket(MyLatch, wanted,
								 exporter.listener == NULL ? PGINVALID_SOCKET
														   : fha_listener_fd(exporter.listener),
								 (long) Max(Min(left_ms, 600000), 0), PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}
