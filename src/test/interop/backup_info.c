/*
 * backup_info.c: the backup.info on stdin, read and written again to stdout; for test/test_barman.py.
 *
 * Its first line is a comment with what barman does not say the same way: the microseconds of both times.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "backup/backup_info.h"

int
main(void)
{
	static char data[FHA_BACKUP_INFO_MAX];
	size_t size = fread(data, 1, sizeof(data), stdin);
	FhaBackupInfo info;
	FhaError err;
	char *text;

	if (fha_backup_info_parse(data, size, &info, &err) != FHA_OK ||
		fha_backup_info_print(&info, &text, &err) != FHA_OK)
	{
		(void) fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	(void) printf("# %" PRId64 " %" PRId64 "\n%s", info.begin_time_us, info.end_time_us, text);
	free(text);
	fha_backup_info_free(&info);
	return 0;
}
