/*
 * wal_volume.c: the volume that WAL has to itself, if it has one.
 */
#include "postgres.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include "access/xlog_internal.h"
#include "fmgr.h"
#include "miscadmin.h"

PG_FUNCTION_INFO_V1(fawkes_ha_wal_volume_size);

Datum
fawkes_ha_wal_volume_size(PG_FUNCTION_ARGS)
{
	struct stat data;
	struct stat wal;
	struct statvfs volume;

	if (stat(DataDir, &data) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not stat \"%s\": %m", DataDir)));
	if (stat(XLOGDIR, &wal) != 0 || statvfs(XLOGDIR, &volume) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not stat \"%s\": %m", XLOGDIR)));
	if (data.st_dev == wal.st_dev)
		PG_RETURN_NULL();
	PG_RETURN_INT64((int64) volume.f_blocks * (int64) volume.f_frsize);
}
