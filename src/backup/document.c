/*
 * document.c: a catalogue as JSON.  See document.h.
 */
#include "backup/document.h"

#include "base/json.h"
#include "base/lsn.h"

#define US INT64_C(1000000)

static void
document_put_time(struct json_object *to, const char *key, int64_t us, bool *failed)
{
	char text[FHA_BACKUP_TIME_SIZE];

	if (us == 0)
		return;
	fha_backup_time_print(us, text);
	fha_json_put_text(to, key, text, failed);
}

static void
document_put_some_text(struct json_object *to, const char *key, const char *text, bool *failed)
{
	if (text[0] != '\0')
		fha_json_put_text(to, key, text, failed);
}

static void
document_put_info(struct json_object *to, const FhaBackupInfo *info, bool *failed)
{
	document_put_time(to, "began", info->begin_time_us, failed);
	document_put_time(to, "ended", info->end_time_us, failed);
	fha_json_put_int(to, "timeline", info->timeline, failed);
	fha_json_put_lsn(to, "begin_lsn", info->begin_lsn, failed);
	fha_json_put_lsn(to, "end_lsn", info->end_lsn, failed);
	document_put_some_text(to, "begin_wal", info->begin_wal, failed);
	document_put_some_text(to, "end_wal", info->end_wal, failed);
	fha_json_put_int(to, "size_bytes", info->size, failed);
	fha_json_put_int(to, "server_version", info->version, failed);
	document_put_some_text(to, "name", info->backup_name, failed);
	document_put_some_text(to, "member", info->member, failed);
	document_put_some_text(to, "key_id", info->key_id, failed);
}

static void
document_put_recovery(struct json_object *to, const FhaCatalogue *catalogue,
					  const FhaBackup *backup, bool *failed)
{
	struct json_object *object;
	FhaRecovery recovery;

	if (!fha_catalogue_recovery(catalogue, backup, 0, &recovery))
		return;
	object = json_object_new_object();
	fha_json_put_int(object, "timeline", recovery.timeline, failed);
	document_put_time(object, "from", recovery.from_us, failed);
	fha_json_put_lsn(object, "from_lsn", recovery.from_lsn, failed);
	document_put_time(object, "to_about", recovery.to_s * US, failed);
	fha_json_put_lsn(object, "to_lsn", recovery.to_lsn, failed);
	if (recovery.has_gap)
	{
		struct json_object *gap = json_object_new_object();

		fha_json_put_text(gap, "first", recovery.gap.first, failed);
		fha_json_put_text(gap, "last", recovery.gap.last, failed);
		fha_json_put_u64(gap, "segments", recovery.gap.count, failed);
		fha_json_put(object, "gap", gap, failed);
	}
	fha_json_put(to, "recovery", object, failed);
}

static struct json_object *
document_backup(const FhaCatalogue *catalogue, const FhaRetention *plan, size_t index, bool *failed)
{
	const FhaBackup *backup = fha_catalogue_backup(catalogue, index);
	FhaRetentionVerdict verdict = fha_retention_backup(plan, index);
	struct json_object *object = json_object_new_object();

	fha_json_put_text(object, "id", backup->id, failed);
	fha_json_put_text(object, "state", fha_backup_state_name(backup->state), failed);
	document_put_some_text(object, "why", backup->why, failed);
	if (backup->has_info)
		document_put_info(object, &backup->info, failed);
	fha_json_put_u64(object, "stored_bytes", backup->stored_bytes, failed);
	fha_json_put_bool(object, "kept_by_hand", backup->keep != FHA_KEEP_NOT, failed);
	fha_json_put_bool(object, "goes", fha_retention_goes(verdict.reason), failed);
	fha_json_put_text(object, "reason", fha_retention_reason(verdict.reason), failed);
	if (verdict.because != NULL)
		fha_json_put_text(object, "because", verdict.because->id, failed);
	document_put_recovery(object, catalogue, backup, failed);
	return object;
}

static struct json_object *
document_timeline(const FhaArchivedTimeline *timeline, bool *failed)
{
	struct json_object *object = json_object_new_object();

	fha_json_put_int(object, "timeline", timeline->timeline, failed);
	fha_json_put_bool(object, "has_history", timeline->has_history, failed);
	fha_json_put_u64(object, "segments", timeline->segment_count, failed);
	fha_json_put_u64(object, "stored_bytes", timeline->stored_bytes, failed);
	document_put_some_text(object, "first", timeline->first, failed);
	document_put_some_text(object, "last", timeline->last, failed);
	document_put_time(object, "last_stored", timeline->last_stored_s * US, failed);
	return object;
}

FhaCode
fha_backup_document(const FhaCatalogue *catalogue, const FhaRetention *plan, char **out,
					FhaError *err)
{
	struct json_object *object = json_object_new_object();
	struct json_object *backups = json_object_new_array();
	struct json_object *timelines = json_object_new_array();
	bool failed = false;

	for (size_t i = 0; i < fha_catalogue_count(catalogue); i++)
		fha_json_append(backups, document_backup(catalogue, plan, i, &failed), &failed);
	for (size_t i = 0; i < fha_catalogue_timeline_count(catalogue); i++)
	{
		FhaArchivedTimeline timeline = fha_catalogue_timeline(catalogue, i);

		fha_json_append(timelines, document_timeline(&timeline, &failed), &failed);
	}
	fha_json_put_text(object, "server", fha_catalogue_server(catalogue), &failed);
	fha_json_put(object, "backups", backups, &failed);
	fha_json_put(object, "wal", timelines, &failed);
	*out = fha_json_finish(object, failed, err);
	return *out == NULL ? FHA_NO_MEMORY : FHA_OK;
}
