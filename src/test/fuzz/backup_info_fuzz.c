/*
 * backup_info_fuzz.c: a backup.info as a store has it.
 *
 * What can be read can be written, unless it is a snapshot's or has a status of tomorrow; and what was written is read as the same.
 */
#include "test/fuzz/fuzz.h"

#include "backup/backup_info.h"

static void
check_written(const FhaBackupInfo *info)
{
	FhaBackupInfo back;
	FhaError err;
	char *text;
	char *again;

	if (info->is_snapshot || info->status == FHA_BACKUP_OTHER || info->segment_size == 0)
		return;
	/* Blanks inside are kept, and a line break is none of the blanks around a line. */
	if (fha_backup_info_print(info, &text, &err) != FHA_OK)
	{
		FUZZ_MUST(err.code == FHA_INVALID);
		return;
	}
	FUZZ_MUST(fha_backup_info_parse(text, strlen(text), &back, &err) == FHA_OK);
	FUZZ_MUST(fha_backup_info_print(&back, &again, &err) == FHA_OK);
	FUZZ_MUST(strcmp(text, again) == 0);
	FUZZ_MUST(back.begin_time_us == info->begin_time_us && back.end_lsn == info->end_lsn);
	FUZZ_MUST(back.tablespace_count == info->tablespace_count);
	free(text);
	free(again);
	fha_backup_info_free(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FhaBackupInfo info;
	FhaError err;

	if (fha_backup_info_parse((const char *) data, size, &info, &err) == FHA_OK)
	{
		if (fha_backup_info_check(&info, &err) == FHA_OK)
			FUZZ_MUST(info.end_lsn > info.begin_lsn);
		check_written(&info);
		fha_backup_info_free(&info);
	}
	else
		FUZZ_MUST(err.code == FHA_PROTOCOL && err.text[0] != '\0');
	return 0;
}
