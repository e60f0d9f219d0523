/*
 * catalogue_fuzz.c: listings of a store, its histories and its files, and what a policy makes of them.
 *
 * A line is a key.  One that begins with '=' and a space is the contents of the object of the line before, with "\n" for a line break.
 */
#include "test/fuzz/fuzz.h"

#include "backup/retention.h"

static const FhaRetentionPolicy policies[] = {{0, 0}, {0, 1}, {INT64_C(30) * 86400, 0}};

/* In place. */
static size_t
fuzz_unescape(char *text)
{
	char *out = text;

	for (const char *in = text; *in != '\0'; in++)
	{
		bool is_break = in[0] == '\\' && in[1] == 'n';

		*out++ = is_break ? '\n' : *in;
		in += is_break ? 1 : 0;
	}
	return (size_t) (out - text);
}

static void
fuzz_put(FhaCatalogue *catalogue, const char *key, const char *data, size_t size)
{
	FhaObjectName name = fha_layout_parse("s", key);
	FhaError err;

	if (name.kind == FHA_OBJECT_BACKUP_INFO)
		FUZZ_MUST(fha_catalogue_put_info(catalogue, name.backup_id, data, size, &err) == FHA_OK);
	if (name.kind == FHA_OBJECT_KEEP)
		FUZZ_MUST(fha_catalogue_put_keep(catalogue, name.backup_id, data, size, &err) == FHA_OK);
	if (name.kind == FHA_OBJECT_WAL && name.wal.kind == FHA_WAL_HISTORY)
		(void) fha_catalogue_put_history(catalogue, name.wal.timeline, data, size, &err);
}

static void
fuzz_look(const FhaCatalogue *catalogue)
{
	for (size_t i = 0; i < fha_catalogue_timeline_count(catalogue); i++)
		FUZZ_MUST(fha_catalogue_timeline(catalogue, i).timeline > 0);
	for (size_t i = 0; i < fha_catalogue_count(catalogue); i++)
	{
		const FhaBackup *backup = fha_catalogue_backup(catalogue, i);
		FhaRecovery recovery;
		FhaWalGap gap = {.next = 0};

		FUZZ_MUST(fha_catalogue_find(catalogue, backup->id) == backup);
		FUZZ_MUST((backup->state == FHA_BACKUP_USABLE) == (backup->why[0] == '\0'));
		if (fha_catalogue_recovery(catalogue, backup, 0, &recovery))
			FUZZ_MUST(recovery.to_lsn + backup->info.segment_size >= recovery.from_lsn);
		for (int j = 0; j < 100 && fha_catalogue_next_gap(catalogue, backup, 0, gap.next, &gap);
			 j++)
			FUZZ_MUST(gap.count > 0);
	}
}

static void
fuzz_judge(const FhaCatalogue *catalogue, const char *keys, const FhaRetentionPolicy *policy)
{
	FhaRetention *plan = fha_retention_plan(catalogue, policy, INT64_C(1796000000));
	const char *key;

	FUZZ_NEEDS(plan != NULL);
	for (size_t i = 0; i < fha_retention_key_count(plan); i++)
		FUZZ_MUST(fha_layout_parse("s", fha_retention_key(plan, i)).kind != FHA_OBJECT_WAL);
	/* Each key once more, with a NUL behind it. */
	for (key = keys; *key != '\0'; key += strlen(key) + 1)
	{
		FhaRetentionVerdict verdict = fha_retention_wal(plan, key, 1);
		FhaObjectName name = fha_layout_parse("s", key);

		if (fha_retention_goes(verdict.reason))
			FUZZ_MUST(name.kind == FHA_OBJECT_WAL && name.wal.kind != FHA_WAL_HISTORY);
	}
	fha_retention_free(plan);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_string(data, size);
	char *keys = calloc(1, size + 2);
	size_t used = 0;
	FhaCatalogue *catalogue = fha_catalogue_new("s");
	char *rest = text;
	const char *key = "";
	char *line;
	FhaError err;

	FUZZ_NEEDS(keys != NULL && catalogue != NULL);
	while ((line = strsep(&rest, "\n")) != NULL)
	{
		if (line[0] == '=' && line[1] == ' ')
			fuzz_put(catalogue, key, line + 2, fuzz_unescape(line + 2));
		else if (line[0] != '\0')
		{
			FUZZ_MUST(fha_catalogue_add(catalogue, line, 1, (int64_t) size, &err) == FHA_OK);
			key = line;
			memcpy(keys + used, line, strlen(line) + 1);
			used += strlen(line) + 1;
		}
	}
	fha_catalogue_finish(catalogue, INT64_C(1796000000));
	fuzz_look(catalogue);
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		fuzz_judge(catalogue, keys, &policies[i]);
	fha_catalogue_free(catalogue);
	free(keys);
	free(text);
	return 0;
}
