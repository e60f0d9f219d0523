/*
 * wal_volume.c: the volumes that this server's data and its WAL lie on.
 */
#include "postgres.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include "access/xlog_internal.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"

PG_FUNCTION_INFO_V1(fawkes_ha_wal_volume_size);
PG_FUNCTION_INFO_V1(fawkes_ha_volumes);

static struct statvfs
volume_measure(const char *path)
{
	struct statvfs volume;

	if (statvfs(path, &volume) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not stat \"%s\": %m", path)));
	return volume;
}

static bool
wal_has_a_volume(void)
{
	struct stat data;
	struct stat wal;

	if (stat(DataDir, &data) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not stat \"%s\": %m", DataDir)));
	if (stat(XLOGDIR, &wal) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not stat \"%s\": %m", XLOGDIR)));
	return data.st_dev != wal.st_dev;
}

static int64
bytes_of(const struct statvfs *volume, uint64 blocks)
{
	return (int64) (blocks * volume->f_frsize);
}

Datum
fawkes_ha_wal_volume_size(PG_FUNCTION_ARGS)
{
	struct statvfs volume;

	if (!wal_has_a_volume())
		PG_RETURN_NULL();
	volume = volume_measure(XLOGDIR);
	PG_RETURN_INT64(bytes_of(&volume, volume.f_blocks));
}

/* As kubelet reckons: what only root may still write is neither available nor used. */
static void
volume_put(ReturnSetInfo *result, bool wal, const char *path)
{
	struct statvfs volume = volume_measure(path);
	bool nulls[7] = {false};
	Datum values[7] = {
		BoolGetDatum(wal),
		Int64GetDatum(bytes_of(&volume, volume.f_blocks)),
		Int64GetDatum(bytes_of(&volume, volume.f_bavail)),
		Int64GetDatum(bytes_of(&volume, volume.f_blocks - volume.f_bfree)),
		Int64GetDatum((int64) volume.f_files),
		Int64GetDatum((int64) volume.f_ffree),
		Int64GetDatum((int64) (volume.f_files - volume.f_ffree)),
	};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
fawkes_ha_volumes(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	volume_put(result, false, DataDir);
	if (wal_has_a_volume())
		volume_put(result, true, XLOGDIR);
	return (Datum) 0;
}
