/*
 * collector.c: a worker that reads metric views.  See collector.h.
 *
 * It runs as a role that may read statistics and nothing else, in read-only transactions.  Each query
 * has a deadline and a subtransaction of its own: one that fails or hangs is told, and costs the
 * others nothing.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "pg/collector.h"
#include "pg/compat.h"
#include "pg/session.h"
#include "show/prometheus.h"

#define QUERY_MS 2000
#define QUERY_ROWS_MAX 10000
#define LINGER_MS 60000
#define LABELS_SIZE 4096

PGDLLEXPORT void fawkes_ha_collector_main(Datum argument);

static CollectorSegment *segment;
static shm_mq_handle *queue;
static MemoryContext collection;

/*
 * Only the last one of a collection wakes the exporter, or a queue that fills.  Without an exporter
 * there is nobody to collect for.
 */
static void
send_message(const StringInfo message)
{
	bool last = message->data[0] == COLLECTOR_END;

	if (message->len > COLLECTOR_ROW_MAX)
		return;
	if (shm_mq_send(queue, message->len, message->data, false, last) != SHM_MQ_SUCCESS)
		proc_exit(0);
}

static void
send_texts(CollectorMessage kind, const char *first, const char *second)
{
	StringInfoData message;

	initStringInfo(&message);
	appendStringInfoChar(&message, (char) kind);
	appendBinaryStringInfo(&message, first, strlen(first) + 1);
	if (second != NULL)
		appendBinaryStringInfo(&message, second, strlen(second) + 1);
	send_message(&message);
	pfree(message.data);
}

/*
 * Texts of a database in another encoding.  What cannot be converted becomes '?' and costs nothing
 * else: names that all databases share may be of any encoding.
 */
static char *
to_utf8(char *text)
{
	int encoding = GetDatabaseEncoding();
	Oid conversion = encoding == PG_UTF8 || encoding == PG_SQL_ASCII
						 ? InvalidOid
						 : FindDefaultConversionProc(encoding, PG_UTF8);
	StringInfoData converted;

	if (!OidIsValid(conversion))
		return text;
	initStringInfo(&converted);
	while (*text != '\0')
	{
		int size = (int) strlen(text);
		int room = size * MAX_CONVERSION_GROWTH + 1;

		enlargeStringInfo(&converted, room);
		text += pg_do_encoding_conversion_buf(
			conversion, encoding, PG_UTF8, (unsigned char *) text, size,
			(unsigned char *) converted.data + converted.len, room, true);
		converted.len += (int) strlen(converted.data + converted.len);
		if (*text != '\0')
		{
			appendStringInfoChar(&converted, '?');
			text++;
		}
	}
	return converted.data;
}

static char *
scalar_text(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return to_utf8(pnstrdup(value->val.string.val, value->val.string.len));
		case jbvNumeric:
			return DatumGetCString(
				DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		case jbvNull:
			return pstrdup("");
		default:
			elog(ERROR, "the labels of a metric are an object of texts");
	}
	return NULL;
}

/* An object of scalars, as Prometheus writes labels. */
static void
print_labels(Jsonb *labels, char *out, size_t size)
{
	JsonbIterator *iterator = JsonbIteratorInit(&labels->root);
	JsonbIteratorToken token;
	JsonbValue value;
	char *name = NULL;
	FhaError err;

	out[0] = '\0';
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = scalar_text(&value);
		else if (token == WJB_VALUE && name != NULL &&
				 fha_prometheus_label(out, size, name, scalar_text(&value), &err) != FHA_OK)
			elog(ERROR, "%s", err.text);
		else if (token == WJB_BEGIN_ARRAY)
			elog(ERROR, "the labels of a metric are an object of texts");
	}
}

static void
send_row(HeapTuple row, TupleDesc description)
{
	StringInfoData message;
	char labels[LABELS_SIZE];
	double value = 0;
	bool is_null;

	for (int i = 1; i <= 5; i++)
	{
		Datum field = SPI_getbinval(row, description, i, &is_null);

		if (is_null)
			return; /* what is not known is no row */
		if (i == 4)
			print_labels(DatumGetJsonbP(field), labels, sizeof(labels));
		if (i == 5)
			value = DatumGetFloat8(field);
	}
	initStringInfo(&message);
	appendStringInfoChar(&message, COLLECTOR_ROW);
	appendBinaryStringInfo(&message, (const char *) &value, sizeof(value));
	for (int i = 1; i <= 3; i++)
	{
		const char *text = to_utf8(SPI_getvalue(row, description, i));

		appendBinaryStringInfo(&message, text, strlen(text) + 1);
	}
	appendBinaryStringInfo(&message, labels, strlen(labels) + 1);
	send_message(&message);
}

static void
collector_execute(const char *query)
{
	enable_timeout_after(STATEMENT_TIMEOUT, QUERY_MS);
	if (SPI_execute(query, true, QUERY_ROWS_MAX) != SPI_OK_SELECT)
		elog(ERROR, "not a query: %.100s", query);
	disable_timeout(STATEMENT_TIMEOUT, false);
}

/* The five columns of fawkes_ha.metrics, by their types too: a user wrote some of them. */
static void
send_rows(const char *query)
{
	static const Oid types[] = {TEXTOID, TEXTOID, TEXTOID, JSONBOID, FLOAT8OID};

	collector_execute(query);
	if (SPI_tuptable->tupdesc->natts != lengthof(types))
		elog(ERROR, "a metric has five columns");
	for (int i = 0; i < lengthof(types); i++)
		if (SPI_gettypeid(SPI_tuptable->tupdesc, i + 1) != types[i])
			elog(ERROR, "column %d of a metric is not %s", i + 1, format_type_be(types[i]));
	for (uint64 i = 0; i < SPI_processed; i++)
		send_row(SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
}

/* Names of databases. */
static void
send_databases(const char *query)
{
	collector_execute(query);
	for (uint64 i = 0; i < SPI_processed; i++)
		send_texts(COLLECTOR_DATABASE,
				   SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1), NULL);
}

/* `what` is its name when it fails. */
static void
try_query(const char *what, void (*send)(const char *query), const char *query)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		send(query);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		disable_timeout(STATEMENT_TIMEOUT, false);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		send_texts(COLLECTOR_ERROR, what, error->message);
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

static void
try_user_views(void)
{
	SPITupleTable *views;
	uint64 count;

	collector_execute("SELECT view, query, error FROM fawkes_ha.user_metrics");
	views = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		const char *name = SPI_getvalue(views->vals[i], views->tupdesc, 1);
		const char *query = SPI_getvalue(views->vals[i], views->tupdesc, 2);
		const char *error = SPI_getvalue(views->vals[i], views->tupdesc, 3);

		if (query != NULL)
			try_query(name, send_rows, query);
		else
			send_texts(COLLECTOR_ERROR, name, error == NULL ? "it cannot be read" : error);
	}
}

/* A database without our extension: its own, for dashboards; as fawkes_ha.database_metrics has them. */
#define PLAIN_DATABASE_METRICS                                                                 \
	"SELECT 'cnpg_pg_extensions_update_available', 'gauge', "                                  \
	"'1 if the server has a newer version of an extension than the database, 0 else.', "       \
	"jsonb_build_object('datname', current_database(), 'extname', e.extname, "                 \
	"'default_version', coalesce(a.default_version, ''), 'installed_version', e.extversion), " \
	"(e.extversion IS DISTINCT FROM a.default_version)::integer::float8 "                      \
	"FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_available_extensions() a ON a.name = "  \
	"e.extname "                                                                               \
	"UNION ALL "                                                                               \
	"SELECT 'cnpg_collector_lo_pages', 'gauge', "                                              \
	"'Pages that large objects take, as the last vacuum or analyze saw it.', "                 \
	"jsonb_build_object('datname', current_database()), greatest(c.relpages, 0)::float8 "      \
	"FROM pg_catalog.pg_class c WHERE c.oid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass"

static void
collector_collect(void)
{
	StringInfoData end;
	bool has_extension;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(collection);
	pgstat_report_activity(STATE_RUNNING, "fawkes_ha collector");
	collector_execute(
		"SELECT FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_class c ON c.relnamespace = "
		"e.extnamespace "
		"WHERE e.extname = 'fawkes_ha' AND c.relname = 'user_metrics'");
	has_extension = SPI_processed > 0;
	if (has_extension && segment->whole_server)
		try_query("server_metrics", send_rows, "SELECT * FROM fawkes_ha.server_metrics");
	if (has_extension)
	{
		try_query("database_metrics", send_rows, "SELECT * FROM fawkes_ha.database_metrics");
		try_user_views();
	}
	else
		try_query("database_metrics", send_rows, PLAIN_DATABASE_METRICS);
	if (segment->whole_server)
		try_query(
			"pg_database", send_databases,
			"SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate "
			"AND datname <> pg_catalog.current_database() "
			"AND pg_catalog.has_database_privilege(datname, 'CONNECT') ORDER BY datname LIMIT 100");
	initStringInfo(&end);
	appendStringInfoChar(&end, COLLECTOR_END);
	appendStringInfoChar(&end, has_extension ? 1 : 0);
	send_message(&end);
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextReset(collection);
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
}

static void
collector_attach(Datum argument)
{
	dsm_segment *memory;

	CurrentResourceOwner = ResourceOwnerCreate(NULL, "fawkes_ha collector");
	memory = dsm_attach(DatumGetUInt32(argument));
	if (memory == NULL)
		proc_exit(0); /* the exporter is gone */
	segment = dsm_segment_address(memory);
	shm_mq_set_sender(COLLECTOR_QUEUE(segment), MyProc);
	queue = shm_mq_attach(COLLECTOR_QUEUE(segment), memory, NULL);
	/* For as long as this process lives, beyond the transactions that come. */
	dsm_pin_mapping(memory);
}

void
fawkes_ha_collector_main(Datum argument)
{
	SessionTerms terms = {.role = EXPORTER_ROLE, .read_only = true, .lock_timeout = "500ms"};
	uint32 done = 0;
	bool asked = true;

	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	collector_attach(argument);
	terms.database = segment->database;
	session_open(&terms);
	collection =
		AllocSetContextCreate(TopMemoryContext, "fawkes_ha collection", ALLOCSET_DEFAULT_SIZES);
	while (asked)
	{
		uint32 wanted = pg_atomic_read_u32(&segment->wanted);

		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (wanted != done)
		{
			done = wanted;
			collector_collect();
			asked = segment->whole_server;
			continue;
		}
		asked = (WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LINGER_MS,
						   PG_WAIT_EXTENSION) &
				 WL_LATCH_SET) != 0;
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	proc_exit(0);
}
