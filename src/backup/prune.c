/*
 * prune.c: what a plan of retention lets go is deleted from a store.  See prune.h.
 */
#include "backup/prune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Prune
{
	FhaStore *store;
	const char *server;
	const FhaRetention *plan;
	bool dry_run;
	int64_t deadline_at_ms;
	FhaPruned *pruned;
} Prune;

static FhaCode
prune_call(FhaStore *store, const FhaStoreRequest *request, FhaStoreAnswer *answer, FhaError *err)
{
	FhaCode code = fha_store_call(store, request, answer);

	return code == FHA_OK ? FHA_OK : fha_error(err, code, "%s", answer->error.text);
}

static FhaCode
prune_delete(const Prune *prune, const char *const *keys, size_t count, FhaError *err)
{
	FhaStoreRequest request = {.verb = FHA_STORE_DELETE,
							   .keys = keys,
							   .key_count = count,
							   .deadline_at_ms = prune->deadline_at_ms};
	FhaStoreAnswer answer;

	return count == 0 || prune->dry_run ? FHA_OK : prune_call(prune->store, &request, &answer, err);
}

/* --- base backups */

static bool
prune_is_info(const Prune *prune, const char *key)
{
	return fha_layout_parse(prune->server, key).kind == FHA_OBJECT_BACKUP_INFO;
}

/* A call may end with any of its keys deleted, so a backup.info is never in one call with what it is to outlive. */
static size_t
prune_batch(const Prune *prune, size_t first, const char *keys[FHA_STORE_DELETE_MAX])
{
	size_t total = fha_retention_key_count(prune->plan);
	size_t count = 0;

	while (count < FHA_STORE_DELETE_MAX && first + count < total)
	{
		const char *key = fha_retention_key(prune->plan, first + count);

		if (count > 0 && prune_is_info(prune, key))
			break;
		keys[count++] = key;
	}
	return count;
}

static FhaCode
prune_backups(const Prune *prune, FhaError *err)
{
	const char *keys[FHA_STORE_DELETE_MAX];
	size_t total = fha_retention_key_count(prune->plan);
	FhaCode code = FHA_OK;

	for (size_t at = 0; at < total && code == FHA_OK;)
	{
		size_t count = prune_batch(prune, at, keys);

		code = prune_delete(prune, keys, count, err);
		if (code == FHA_OK)
			prune->pruned->backup_objects += count;
		at += count;
	}
	return code;
}

/* --- WAL */

/* A page's keys, copied: the answer ends with the next call. */
typedef struct PrunePage
{
	char *keys[FHA_STORE_LIST_MAX];
	size_t count;
	uint64_t bytes;
} PrunePage;

static void
prune_forget(PrunePage *page)
{
	for (size_t i = 0; i < page->count; i++)
		free(page->keys[i]);
	page->count = 0;
	page->bytes = 0;
}

static FhaCode
prune_judge(const Prune *prune, const FhaStoreAnswer *answer, PrunePage *page, FhaError *err)
{
	for (size_t i = 0; i < answer->object_count && page->count < FHA_STORE_LIST_MAX; i++)
	{
		const FhaStoreObject *object = &answer->objects[i];

		if (!fha_retention_goes(
				fha_retention_wal(prune->plan, object->key, object->modified_s).reason))
			continue;
		page->keys[page->count] = strdup(object->key);
		if (page->keys[page->count] == NULL)
			return fha_error(err, FHA_NO_MEMORY, "out of memory");
		page->count++;
		page->bytes += object->size;
	}
	return FHA_OK;
}

static FhaCode
prune_page(const Prune *prune, const FhaStoreAnswer *answer, PrunePage *page, FhaError *err)
{
	FhaCode code = prune_judge(prune, answer, page, err);

	if (code == FHA_OK)
		code = prune_delete(prune, (const char *const *) page->keys, page->count, err);
	if (code == FHA_OK)
	{
		prune->pruned->wal_objects += page->count;
		prune->pruned->wal_bytes += page->bytes;
	}
	prune_forget(page);
	return code;
}

static FhaCode
prune_wal(const Prune *prune, FhaError *err)
{
	char beginning[FHA_OBJECT_KEY_SIZE];
	char next[FHA_STORE_PAGE_SIZE] = "";
	FhaStoreRequest request = {
		.verb = FHA_STORE_LIST, .key = beginning, .deadline_at_ms = prune->deadline_at_ms};
	FhaStoreAnswer answer;
	PrunePage page = {.count = 0};
	FhaCode code;

	fha_layout_wals(prune->server, beginning);
	do
	{
		code = prune_call(prune->store, &request, &answer, err);
		if (code != FHA_OK)
			return code;
		(void) snprintf(next, sizeof(next), "%s", answer.next == NULL ? "" : answer.next);
		code = prune_page(prune, &answer, &page, err);
		request.page = next;
	} while (code == FHA_OK && next[0] != '\0');
	return code;
}

FhaCode
fha_prune(FhaStore *store, const char *server, const FhaRetention *plan, bool dry_run,
		  FhaPruned *out, int64_t deadline_at_ms, FhaError *err)
{
	Prune prune = {.store = store,
				   .server = server,
				   .plan = plan,
				   .dry_run = dry_run,
				   .deadline_at_ms = deadline_at_ms,
				   .pruned = out};
	FhaCode code;

	*out = (FhaPruned){0};
	code = prune_backups(&prune, err);
	return code == FHA_OK ? prune_wal(&prune, err) : code;
}

/* --- keep */

/* A store that can hold no key with a second slash has no such keep. */
static FhaCode
prune_drop_keep(FhaStore *store, const char *key, int64_t deadline_at_ms, FhaError *err)
{
	FhaStoreRequest request = {
		.verb = FHA_STORE_DELETE, .keys = &key, .key_count = 1, .deadline_at_ms = deadline_at_ms};
	FhaStoreAnswer answer;
	FhaCode code = prune_call(store, &request, &answer, err);

	return code == FHA_INVALID && key[0] == '/' ? FHA_OK : code;
}

/* The new one is written before the other place's is dropped, so that the backup is kept all the time. */
FhaCode
fha_backup_set_keep(FhaStore *store, const char *server, const char *id, FhaKeep keep,
					int64_t deadline_at_ms, FhaError *err)
{
	FhaObjectName name = {.kind = FHA_OBJECT_KEEP};
	char key[FHA_OBJECT_KEY_SIZE];
	char other[FHA_OBJECT_KEY_SIZE];
	const char *word = keep == FHA_KEEP_STANDALONE ? "standalone" : "full";
	FhaStoreRequest request = {.verb = FHA_STORE_PUT,
							   .key = key,
							   .data = word,
							   .size = strlen(word),
							   .deadline_at_ms = deadline_at_ms};
	FhaStoreAnswer answer;
	FhaCode code;

	(void) snprintf(name.backup_id, sizeof(name.backup_id), "%s", id);
	fha_layout_key(server, &name, key);
	fha_layout_keep_with_slash(server, id, other);
	code = keep == FHA_KEEP_NOT ? prune_drop_keep(store, key, deadline_at_ms, err)
								: prune_call(store, &request, &answer, err);
	return code == FHA_OK ? prune_drop_keep(store, other, deadline_at_ms, err) : code;
}
