/*
 * base_backup.c: what the server sends of a base backup becomes objects of a store.  See backup/base_backup.h.
 */
#include "backup/base_backup.h"

#include <stdlib.h>
#include <string.h>

#include "backup/compress.h"
#include "backup/removal.h"
#include "backup/tar_filter.h"
#include "backup/upload.h"
#include "base/clock.h"
#include "base/json.h"

/* "Above 100 GB", as other tools split, too. */
#define BACKUP_ARCHIVE_SIZE UINT64_C(100000000000)
/*
 * 10,000 parts must hold an archive that is split, and the last file that was begun before: 15 GB are left for that.  A
 * data directory that is small may grow fivefold meanwhile.
 */
#define BACKUP_SMALL_SIZE UINT64_C(10000000000)
#define BACKUP_SMALL_PART_SIZE ((size_t) FHA_STORE_PART_MIN)
#define BACKUP_LARGE_PART_SIZE ((size_t) 11 * 1024 * 1024)
/* One is filled, the others are sent. */
#define BACKUP_SMALL_PARTS 4
#define BACKUP_LARGE_PARTS 3
#define BACKUP_PATIENCE_MS (60 * 60 * 1000)
#define BACKUP_IDS_MAX 60 /* taken ones, in a row */
#define SECOND_US INT64_C(1000000)

typedef enum BackupState
{
	BACKUP_CLAIMS,   /* backup.info as STARTED */
	BACKUP_COMPARES, /* there is one already: is it ours, whose answer was lost? */
	BACKUP_TAKES,
	BACKUP_ENDS, /* backup.info as DONE */
	BACKUP_IS_DONE,
	BACKUP_REMOVES,
	BACKUP_IS_REMOVED
} BackupState;

/* What is being sent; an archive may become several objects. */
typedef struct BackupObject
{
	FhaObjectName name;
	FhaStream *filter; /* NULL: the manifest, which goes as it is */
	FhaStream *pack;   /* compresses, encrypts */
	FhaUpload *upload; /* NULL: nothing is being sent */
} BackupObject;

struct FhaBaseBackup
{
	FhaStore *store;
	FhaBaseBackupSettings settings;
	FhaSealKey key;
	bool is_sealed;
	FhaBackupInfo info;
	char id[FHA_BACKUP_ID_SIZE];
	int64_t id_s; /* as time */
	int ids_tried;
	BackupState state;
	bool is_claimed;
	BackupObject object;
	bool has_data; /* its archive was begun */
	bool *has_tablespace;
	bool has_manifest;
	FhaStoreCall *call; /* of backup.info */
	char *text;         /* of backup.info, as it is written */
	size_t compared;    /* bytes of the store's that are like ours; SIZE_MAX: they are not */
	FhaRemoval *removal;
	FhaBaseBackupCount count; /* without the object at hand */
	FhaError error;
	char server[FHA_SERVER_NAME_SIZE];
};

/* --- open, close */

static FhaCode
backup_copy_info(FhaBackupInfo *out, const FhaBackupInfo *from, FhaError *err)
{
	*out = *from;
	out->backup_label = NULL;
	out->status = FHA_BACKUP_STARTED;
	out->size = 0;
	out->tablespaces = calloc(from->tablespace_count + 1, sizeof(*out->tablespaces));
	if (out->tablespaces == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	if (from->tablespace_count > 0)
		memcpy(out->tablespaces, from->tablespaces,
			   from->tablespace_count * sizeof(*out->tablespaces));
	return FHA_OK;
}

static void
backup_set_key(FhaBaseBackup *backup)
{
	backup->is_sealed = backup->settings.keys != NULL;
	if (!backup->is_sealed)
		return;
	backup->key = backup->settings.keys->keys[0];
	memcpy(backup->info.key_id, backup->key.id, sizeof(backup->key.id));
	backup->settings.keys = NULL;
}

FhaCode
fha_base_backup_open(FhaBaseBackup **out, const FhaBaseBackupSettings *settings,
					 const FhaBackupInfo *begun, FhaError *err)
{
	FhaBaseBackup *backup;
	FhaCode code;

	*out = NULL;
	if (!fha_server_name_is_valid(settings->server))
		return fha_error(err, FHA_INVALID, "\"%.60s\" is no name of a server", settings->server);
	if (begun->tablespace_count > FHA_TABLESPACES_MAX)
		return fha_error(err, FHA_INVALID, "there are more than %d tablespaces",
						 FHA_TABLESPACES_MAX);
	backup = calloc(1, sizeof(*backup));
	if (backup == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	backup->store = settings->store;
	backup->settings = *settings;
	memcpy(backup->server, settings->server, strlen(settings->server) + 1);
	backup->settings.server = backup->server;
	if (settings->archive_size == 0)
		backup->settings.archive_size = BACKUP_ARCHIVE_SIZE;
	if (settings->patience_ms == 0)
		backup->settings.patience_ms = BACKUP_PATIENCE_MS;
	backup->id_s = begun->begin_time_us / SECOND_US;
	code = backup_copy_info(&backup->info, begun, err);
	backup->has_tablespace = calloc(begun->tablespace_count + 1, sizeof(bool));
	if (code == FHA_OK && backup->has_tablespace == NULL)
		code = fha_error(err, FHA_NO_MEMORY, "out of memory");
	backup_set_key(backup);
	if (code == FHA_OK)
		*out = backup;
	else
		fha_base_backup_close(backup);
	return code;
}

static void
backup_close_object(FhaBaseBackup *backup)
{
	BackupObject *object = &backup->object;

	if (object->upload != NULL)
		backup->count.stored += fha_upload_stored(object->upload);
	fha_upload_close(object->upload);
	fha_stream_close(object->pack);
	fha_stream_close(object->filter);
	*object = (BackupObject){.upload = NULL};
}

void
fha_base_backup_close(FhaBaseBackup *backup)
{
	if (backup == NULL)
		return;
	if (backup->call != NULL)
		fha_store_cancel(backup->store, backup->call);
	backup_close_object(backup);
	fha_removal_close(backup->removal);
	fha_backup_info_free(&backup->info);
	free(backup->has_tablespace);
	free(backup->text);
	explicit_bzero(&backup->key, sizeof(backup->key));
	free(backup);
}

static FhaCode
backup_told(FhaBaseBackup *backup, FhaCode code, FhaError *err)
{
	if (code == FHA_OK || code == FHA_AGAIN)
		return code;
	backup->error.code = code;
	if (err != NULL)
		*err = backup->error;
	return code;
}

/* --- backup.info */

static void
backup_info_key(const FhaBaseBackup *backup, char out[FHA_OBJECT_KEY_SIZE])
{
	FhaObjectName name = {.kind = FHA_OBJECT_BACKUP_INFO};

	fha_backup_id_print(backup->id_s, name.backup_id);
	fha_layout_key(backup->server, &name, out);
}

static FhaCode
backup_start_call(FhaBaseBackup *backup, FhaStoreRequest *request, FhaError *err)
{
	char key[FHA_OBJECT_KEY_SIZE];

	backup_info_key(backup, key);
	request->key = key;
	request->owner = backup;
	request->deadline_at_ms = fha_now_ms() + backup->settings.patience_ms;
	return fha_store_start(backup->store, request, &backup->call, err);
}

static FhaCode
backup_put_info(FhaBaseBackup *backup, FhaError *err)
{
	FhaStoreRequest request = {.verb = FHA_STORE_PUT, .if_absent = backup->state == BACKUP_CLAIMS};
	FhaCode code;

	free(backup->text);
	backup->text = NULL;
	code = fha_backup_info_print(&backup->info, &backup->text, err);
	if (code != FHA_OK)
		return code;
	request.data = backup->text;
	/* analyzer: there is a text after OK */
	request.size = strlen(backup->text);
	return backup_start_call(backup, &request, err);
}

static size_t
backup_compare(const char *data, size_t size, void *owner)
{
	FhaBaseBackup *backup = owner;
	size_t whole = strlen(backup->text);

	if (backup->compared > whole || size > whole - backup->compared ||
		memcmp(backup->text + backup->compared, data, size) != 0)
		backup->compared = SIZE_MAX;
	else
		backup->compared += size;
	return size;
}

/* The id belongs to another backup: the next second's, then. */
static FhaCode
backup_claim_next(FhaBaseBackup *backup, FhaError *err)
{
	if (++backup->ids_tried == BACKUP_IDS_MAX)
		return fha_error(err, FHA_CONFLICT, "the store has base backups with the next %d ids",
						 BACKUP_IDS_MAX);
	backup->id_s++;
	backup->state = BACKUP_CLAIMS;
	return backup_put_info(backup, err);
}

static void
backup_claimed(FhaBaseBackup *backup)
{
	fha_backup_id_print(backup->id_s, backup->id);
	backup->is_claimed = true;
	backup->state = BACKUP_TAKES;
}

static FhaCode
backup_claim_refused(FhaBaseBackup *backup, const FhaStoreAnswer *answer, FhaError *err)
{
	FhaStoreRequest request = {.verb = FHA_STORE_GET, .take = backup_compare};

	if (!answer->may_be_own)
		return backup_claim_next(backup, err);
	backup->state = BACKUP_COMPARES;
	backup->compared = 0;
	return backup_start_call(backup, &request, err);
}

static FhaCode
backup_info_answer(FhaBaseBackup *backup, const FhaStoreAnswer *answer, FhaError *err)
{
	backup->call = NULL;
	if (backup->state == BACKUP_CLAIMS && answer->code == FHA_CONFLICT)
		return backup_claim_refused(backup, answer, err);
	if (answer->code != FHA_OK)
		return fha_error(err, answer->code, "could not store backup.info: %.180s",
						 answer->error.text);
	if (backup->state == BACKUP_COMPARES && backup->compared != strlen(backup->text))
		return backup_claim_next(backup, err);
	if (backup->state == BACKUP_ENDS)
		backup->state = BACKUP_IS_DONE;
	else
		backup_claimed(backup);
	return FHA_OK;
}

static FhaCode backup_turn(FhaBaseBackup *backup, FhaError *err);

/* --- an object */

static FhaCode
backup_open_pack(FhaBaseBackup *backup, const char *key, FhaError *err)
{
	const FhaBaseBackupSettings *settings = &backup->settings;
	FhaStream *links[2] = {NULL, NULL};
	FhaCode code = fha_compress_open(&links[0], settings->compression, settings->level,
									 settings->workers, err);

	if (code == FHA_OK && backup->is_sealed)
		code = fha_seal_open(&links[1], &backup->key, key, err);
	if (code == FHA_OK)
		return fha_chain_open(&backup->object.pack, links, backup->is_sealed ? 2 : 1, err);
	fha_stream_close(links[0]);
	return code;
}

/* The next object of what is being sent, by its name. */
static FhaCode
backup_open_upload(FhaBaseBackup *backup, FhaError *err)
{
	const FhaBaseBackupSettings *settings = &backup->settings;
	char key[FHA_OBJECT_KEY_SIZE];
	bool is_small = settings->expected_size <= BACKUP_SMALL_SIZE;
	FhaUploadSettings upload = {.key = key,
								.part_size =
									is_small ? BACKUP_SMALL_PART_SIZE : BACKUP_LARGE_PART_SIZE,
								.part_count = is_small ? BACKUP_SMALL_PARTS : BACKUP_LARGE_PARTS,
								.patience_ms = settings->patience_ms};
	FhaCode code;

	fha_layout_key(backup->server, &backup->object.name, key);
	code = backup_open_pack(backup, key, err);
	return code == FHA_OK ? fha_upload_open(&backup->object.upload, backup->store, &upload, err)
						  : code;
}

/* NULL: there is no such tablespace. */
static bool *
backup_seen(FhaBaseBackup *backup, uint32_t oid)
{
	if (oid == FHA_DATA_DIRECTORY)
		return &backup->has_data;
	for (size_t i = 0; i < backup->info.tablespace_count; i++)
	{
		if (backup->info.tablespaces[i].oid == oid)
			return &backup->has_tablespace[i];
	}
	return NULL;
}

/* AGAIN: what came before is still on its way, and nothing of it can be done now. */
static FhaCode
backup_finish_object(FhaBaseBackup *backup, FhaError *err)
{
	BackupObject *object = &backup->object;
	FhaStream *first = object->filter != NULL ? object->filter : object->pack;
	FhaCode code = backup->error.code;

	if (code == FHA_OK && backup->state == BACKUP_TAKES && first != NULL && !first->is_finished)
	{
		code = fha_stream_finish(first, &backup->error);
		if (code == FHA_OK)
			code = backup_turn(backup, &backup->error);
	}
	if (code != FHA_OK && code != FHA_AGAIN)
		return backup_told(backup, code, err);
	return backup->state == BACKUP_TAKES && object->upload == NULL ? FHA_OK : FHA_AGAIN;
}

static void
backup_set_name(FhaBaseBackup *backup, FhaObjectKind kind, uint32_t oid)
{
	FhaObjectName *name = &backup->object.name;

	*name = (FhaObjectName){.kind = kind,
							.oid = oid,
							.compression = backup->settings.compression,
							.encrypted = backup->is_sealed};
	memcpy(name->backup_id, backup->id, sizeof(name->backup_id));
}

FhaCode
fha_base_backup_archive(FhaBaseBackup *backup, uint32_t oid, FhaError *err)
{
	FhaTarFilterSettings filter = {.is_data_directory = oid == FHA_DATA_DIRECTORY,
								   .archive_size = backup->settings.archive_size};
	bool *seen = backup_seen(backup, oid);
	FhaCode code = backup_finish_object(backup, err);

	if (code != FHA_OK)
		return code;
	if (seen == NULL || *seen || backup->has_manifest)
		return backup_told(
			backup,
			fha_error(&backup->error, FHA_INVALID,
					  "the server sends the archive of tablespace %u, which was not expected", oid),
			err);
	*seen = true;
	backup_set_name(backup, oid == FHA_DATA_DIRECTORY ? FHA_OBJECT_DATA : FHA_OBJECT_TABLESPACE,
					oid);
	code = fha_tar_filter_open(&backup->object.filter, &filter, &backup->error);
	if (code == FHA_OK)
		code = backup_open_upload(backup, &backup->error);
	return backup_told(backup, code, err);
}

FhaCode
fha_base_backup_manifest(FhaBaseBackup *backup, FhaError *err)
{
	FhaCode code = backup_finish_object(backup, err);

	if (code != FHA_OK)
		return code;
	if (backup->has_manifest)
		return backup_told(
			backup, fha_error(&backup->error, FHA_INVALID, "the server sends two manifests"), err);
	backup->has_manifest = true;
	backup_set_name(backup, FHA_OBJECT_MANIFEST, 0);
	return backup_told(backup, backup_open_upload(backup, &backup->error), err);
}

FhaCode
fha_base_backup_write(FhaBaseBackup *backup, const char *data, size_t size, size_t *taken,
					  FhaError *err)
{
	BackupObject *object = &backup->object;
	FhaCode code = backup->error.code;

	*taken = 0;
	if (code == FHA_OK && object->upload == NULL)
		code = fha_error(&backup->error, FHA_INVALID, "the server sends bytes of no archive");
	if (code == FHA_OK)
		code = fha_stream_write(object->filter != NULL ? object->filter : object->pack, data, size,
								taken, &backup->error);
	backup->count.read += *taken;
	return backup_told(backup, code, err);
}

static FhaCode
backup_keep_label(FhaBaseBackup *backup, FhaError *err)
{
	if (backup->object.name.kind != FHA_OBJECT_DATA)
		return FHA_OK;
	backup->info.backup_label = strdup(fha_tar_filter_label(backup->object.filter));
	return backup->info.backup_label == NULL ? fha_error(err, FHA_NO_MEMORY, "out of memory")
											 : FHA_OK;
}

/* The object is in the store: the archive's next one, or nothing more of it. */
static FhaCode
backup_object_stored(FhaBaseBackup *backup, FhaError *err)
{
	BackupObject *object = &backup->object;
	FhaCode code = FHA_OK;

	backup->count.objects++;
	if (object->filter != NULL && fha_tar_filter_is_cut(object->filter))
	{
		BackupObject next = {.name = object->name, .filter = object->filter};

		object->filter = NULL;
		backup_close_object(backup);
		*object = next;
		fha_tar_filter_go_on(object->filter);
		object->name.part++;
		if (object->name.part > FHA_ARCHIVE_PART_MAX)
			return fha_error(err, FHA_INVALID, "an archive has more than %d parts",
							 FHA_ARCHIVE_PART_MAX);
		return backup_open_upload(backup, err);
	}
	if (object->filter != NULL)
	{
		backup->info.size += (int64_t) fha_tar_filter_count(object->filter).bytes;
		code = backup_keep_label(backup, err);
	}
	backup_close_object(backup);
	return code;
}

/* Until nothing moves: what a link has taken makes room in the one before. */
static FhaCode
backup_move_object(FhaBaseBackup *backup, FhaError *err)
{
	BackupObject *object = &backup->object;
	uint64_t before;
	FhaCode code;

	do
	{
		before = fha_upload_taken(object->upload);
		code =
			object->filter == NULL ? FHA_AGAIN : fha_stream_pump(object->filter, object->pack, err);
		if (code == FHA_OK || code == FHA_AGAIN)
			code = fha_upload_step(object->upload, object->pack, err);
	} while (code == FHA_AGAIN && fha_upload_taken(object->upload) != before);
	return code;
}

/* --- the end */

static FhaCode
backup_check_whole(const FhaBaseBackup *backup, FhaError *err)
{
	for (size_t i = 0; i < backup->info.tablespace_count; i++)
	{
		if (!backup->has_tablespace[i])
			return fha_error(err, FHA_INVALID, "the server did not send tablespace %u",
							 backup->info.tablespaces[i].oid);
	}
	if (!backup->has_data)
		return fha_error(err, FHA_INVALID, "the server did not send the data directory");
	if (!backup->has_manifest)
		return fha_error(err, FHA_INVALID, "the server did not send a manifest");
	return fha_backup_info_check(&backup->info, err);
}

FhaCode
fha_base_backup_end(FhaBaseBackup *backup, uint32_t timeline, uint64_t end_lsn, int64_t end_time_us,
					FhaError *err)
{
	FhaCode code = backup_finish_object(backup, err);

	if (code != FHA_OK)
		return code;
	fha_backup_info_set_end(&backup->info, end_lsn);
	backup->info.end_time_us = end_time_us;
	backup->info.status = FHA_BACKUP_DONE;
	if (timeline != backup->info.timeline)
		code = fha_error(&backup->error, FHA_INVALID,
						 "the server went over to timeline %u in the middle", timeline);
	else
		code = backup_check_whole(backup, &backup->error);
	if (code == FHA_OK)
	{
		backup->state = BACKUP_ENDS;
		code = backup_put_info(backup, &backup->error);
		if (code != FHA_OK)
			backup->state = BACKUP_TAKES;
	}
	return backup_told(backup, code, err);
}

void
fha_base_backup_abandon(FhaBaseBackup *backup, int64_t deadline_at_ms)
{
	if (backup->state >= BACKUP_ENDS)
		return;
	if (backup->call != NULL)
		fha_store_cancel(backup->store, backup->call);
	backup->call = NULL;
	backup_close_object(backup);
	backup->error = (FhaError){.code = FHA_OK};
	backup->state = BACKUP_IS_REMOVED;
	/* Of an id that was not claimed, nothing may be ours. */
	if (!backup->is_claimed)
		return;
	backup->state = BACKUP_REMOVES;
	(void) backup_told(backup,
					   fha_removal_open(&backup->removal, backup->store, backup->server, backup->id,
										deadline_at_ms, &backup->error),
					   NULL);
}

/* --- step */

static FhaCode
backup_answers(FhaBaseBackup *backup, FhaError *err)
{
	FhaStoreAnswer answer;
	FhaCode code = FHA_OK;

	while (code == FHA_OK && fha_store_step(backup->store, &answer) == FHA_OK)
	{
		if (answer.owner == backup)
			code = backup_info_answer(backup, &answer, err);
		else if (answer.owner == backup->object.upload)
			fha_upload_answer(backup->object.upload, &answer);
	}
	return code;
}

static FhaCode
backup_turn(FhaBaseBackup *backup, FhaError *err)
{
	FhaCode code;

	if (backup->state == BACKUP_REMOVES)
	{
		code = fha_removal_step(backup->removal, err);
		if (code == FHA_OK)
			backup->state = BACKUP_IS_REMOVED;
		return code;
	}
	if (backup->state == BACKUP_CLAIMS && backup->call == NULL)
	{
		code = backup_put_info(backup, err);
		if (code != FHA_OK)
			return code;
	}
	code = backup_answers(backup, err);
	while (code == FHA_OK && backup->object.upload != NULL)
	{
		code = backup_move_object(backup, err);
		if (code == FHA_OK)
			code = backup_object_stored(backup, err);
	}
	return code;
}

FhaCode
fha_base_backup_step(FhaBaseBackup *backup, FhaError *err)
{
	FhaCode code = backup->error.code;

	if (code == FHA_OK && backup->state != BACKUP_IS_DONE && backup->state != BACKUP_IS_REMOVED)
		code = backup_turn(backup, &backup->error);
	if (code == FHA_OK && backup->state != BACKUP_IS_DONE && backup->state != BACKUP_IS_REMOVED)
		code = FHA_AGAIN;
	return backup_told(backup, code, err);
}

/* --- what can be seen of it */

size_t
fha_base_backup_fds(const FhaBaseBackup *backup, int out[FHA_BASE_BACKUP_FDS])
{
	out[0] = fha_store_fd(backup->store);
	if (backup->object.pack == NULL)
		return 1;
	out[1] = fha_stream_fd(backup->object.pack);
	return out[1] < 0 ? 1 : 2;
}

int64_t
fha_base_backup_wake_at_ms(const FhaBaseBackup *backup)
{
	return fha_store_wake_at_ms(backup->store);
}

FhaBaseBackupCount
fha_base_backup_count(const FhaBaseBackup *backup)
{
	FhaBaseBackupCount count = backup->count;

	if (backup->object.upload != NULL)
		count.stored += fha_upload_stored(backup->object.upload);
	return count;
}

const FhaBackupInfo *
fha_base_backup_info(const FhaBaseBackup *backup)
{
	return &backup->info;
}

const char *
fha_base_backup_id(const FhaBaseBackup *backup)
{
	return backup->id;
}

FhaCode
fha_base_backup_print(const FhaBaseBackup *backup, const char *from, int64_t duration_ms,
					  char **out, FhaError *err)
{
	FhaBaseBackupCount count = fha_base_backup_count(backup);
	const FhaBackupInfo *info = &backup->info;
	struct json_object *root = json_object_new_object();
	bool failed = root == NULL;

	*out = NULL;
	if (failed)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	fha_json_put_text(root, "id", backup->id, &failed);
	fha_json_put_text(root, "server", backup->server, &failed);
	fha_json_put_text(root, "made_by", info->member, &failed);
	fha_json_put_text(root, "from", from, &failed);
	fha_json_put_int(root, "timeline", info->timeline, &failed);
	fha_json_put_lsn(root, "begin_lsn", info->begin_lsn, &failed);
	fha_json_put_lsn(root, "end_lsn", info->end_lsn, &failed);
	fha_json_put_text(root, "begin_wal", info->begin_wal, &failed);
	fha_json_put_text(root, "end_wal", info->end_wal, &failed);
	fha_json_put_int(root, "bytes", info->size, &failed);
	fha_json_put_int(root, "stored_bytes", (int64_t) count.stored, &failed);
	fha_json_put_int(root, "objects", count.objects, &failed);
	fha_json_put_int(root, "duration_ms", duration_ms, &failed);
	*out = fha_json_finish(root, failed, err);
	return *out == NULL ? FHA_NO_MEMORY : FHA_OK;
}
