/*
 * database_size.c: how much a database takes on disk, without asking the disk each time.
 *
 * PostgreSQL looks at every file: 6 ms for 4,000 of them, on which a database of a thousand tables
 * comes, and so much for each database with each scrape.  A session that asks again is told what it
 * was told before until a thousand times as long has passed, so that measuring takes a thousandth
 * of one processor at most.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/syscache.h"

#include "base/clock.h"

#define KEPT_FOR 1000 /* times what measuring took */
#define KEPT_MAX_MS (5 * 60 * 1000)

typedef struct Measured
{
	Oid database; /* the key */
	int64 size;   /* 0: there are no files */
	int64 ends_at_ms;
} Measured;

PG_FUNCTION_INFO_V1(fawkes_ha_database_size);

static HTAB *
measured_table(void)
{
	static HTAB *table = NULL;
	HASHCTL control = {.keysize = sizeof(Oid), .entrysize = sizeof(Measured)};

	if (table == NULL)
		table = hash_create("fawkes_ha sizes of databases", 16, &control, HASH_ELEM | HASH_BLOBS);
	return table;
}

/* 0, not an error, when its files are gone. */
static int64
database_measure(Oid database)
{
	LOCAL_FCINFO(call, 1);
	Datum size;

	InitFunctionCallInfoData(*call, NULL, 1, InvalidOid, NULL, NULL);
	call->args[0].value = ObjectIdGetDatum(database);
	call->args[0].isnull = false;
	size = pg_database_size_oid(call);
	return call->isnull ? 0 : DatumGetInt64(size);
}

Datum
fawkes_ha_database_size(PG_FUNCTION_ARGS)
{
	Oid database = PG_GETARG_OID(0);
	int64 now_ms = fha_now_ms();
	Measured *measured = hash_search(measured_table(), &database, HASH_FIND, NULL);
	int64 size;
	int64 keep_ms;

	/* Dropped, it may be that its number is given again. */
	if (!SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database)))
	{
		hash_search(measured_table(), &database, HASH_REMOVE, NULL);
		PG_RETURN_NULL();
	}
	if (measured == NULL || now_ms >= measured->ends_at_ms)
	{
		size = database_measure(database);
		/* The clock counts whole milliseconds: less than one is one. */
		keep_ms = (fha_now_ms() - now_ms + 1) * KEPT_FOR;
		measured = hash_search(measured_table(), &database, HASH_ENTER, NULL);
		measured->size = size;
		measured->ends_at_ms = now_ms + Min(keep_ms, KEPT_MAX_MS);
	}
	if (measured->size == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(measured->size);
}
