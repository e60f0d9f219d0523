/*
 * removal.c: one base backup goes from a store.  See backup/removal.h.
 */
#include "backup/removal.h"

#include <stdlib.h>
#include <string.h>

typedef enum RemovalState
{
	REMOVAL_UPLOADS, /* a page of them */
	REMOVAL_ABORTS,  /* those of that page, one after another */
	REMOVAL_OBJECTS, /* a page of them */
	REMOVAL_DELETES, /* those of that page but backup.info */
	REMOVAL_INFO,
	REMOVAL_IS_DONE
} RemovalState;

typedef struct RemovalItem
{
	char *key;
	char *upload;
} RemovalItem;

struct FhaRemoval
{
	FhaStore *store;
	int64_t deadline_at_ms;
	RemovalState state;
	FhaStoreCall *call; /* NULL: the next one is to be started */
	RemovalItem *items; /* of the page */
	size_t item_count;
	size_t item_at;
	char page[FHA_STORE_PAGE_SIZE]; /* the next one; "": none */
	FhaError error;
	char folder[FHA_OBJECT_KEY_SIZE]; /* with '/' at its end */
	char info[FHA_OBJECT_KEY_SIZE];
};

FhaCode
fha_removal_open(FhaRemoval **out, FhaStore *store, const char *server, const char *id,
				 int64_t deadline_at_ms, FhaError *err)
{
	FhaObjectName name = {.kind = FHA_OBJECT_BACKUP_INFO};
	FhaRemoval *removal;

	*out = NULL;
	if (!fha_server_name_is_valid(server) || !fha_backup_id_parse(id, NULL))
		return fha_error(err, FHA_INVALID, "\"%.60s\" is no base backup", id);
	removal = calloc(1, sizeof(*removal));
	if (removal == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	removal->store = store;
	removal->deadline_at_ms = deadline_at_ms;
	memcpy(name.backup_id, id, sizeof(name.backup_id));
	fha_layout_key(server, &name, removal->info);
	memcpy(removal->folder, removal->info, sizeof(removal->folder));
	strrchr(removal->folder, '/')[1] = '\0';
	*out = removal;
	return FHA_OK;
}

static void
removal_forget_page(FhaRemoval *removal)
{
	for (size_t i = 0; i < removal->item_count; i++)
	{
		free(removal->items[i].key);
		free(removal->items[i].upload);
	}
	free(removal->items);
	removal->items = NULL;
	removal->item_count = removal->item_at = 0;
}

void
fha_removal_close(FhaRemoval *removal)
{
	if (removal == NULL)
		return;
	if (removal->call != NULL)
		fha_store_cancel(removal->store, removal->call);
	removal_forget_page(removal);
	free(removal);
}

/* --- calls */

/* All keys of the page; the caller frees the array. */
static const char **
removal_keys(const FhaRemoval *removal)
{
	const char **keys = malloc((removal->item_count + 1) * sizeof(*keys));

	for (size_t i = 0; keys != NULL && i < removal->item_count; i++)
		keys[i] = removal->items[i].key;
	return keys;
}

static FhaCode
removal_delete(FhaRemoval *removal, FhaStoreRequest *request, FhaError *err)
{
	const char **keys = removal_keys(removal);
	FhaCode code;

	if (keys == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	request->keys = keys;
	request->key_count = removal->item_count;
	code = fha_store_start(removal->store, request, &removal->call, err);
	free(keys);
	return code;
}

/* The call of the state. */
static FhaCode
removal_call(FhaRemoval *removal, FhaError *err)
{
	const char *info = removal->info;
	const RemovalItem *item;
	FhaStoreRequest request = {.key = removal->folder,
							   .page = removal->page[0] == '\0' ? NULL : removal->page,
							   .deadline_at_ms = removal->deadline_at_ms,
							   .owner = removal};

	switch (removal->state)
	{
		case REMOVAL_UPLOADS:
			request.verb = FHA_STORE_UPLOADS;
			break;
		case REMOVAL_ABORTS:
			item = &removal->items[removal->item_at];
			request.verb = FHA_STORE_ABORT;
			request.key = item->key;
			request.upload = item->upload;
			request.page = NULL;
			break;
		case REMOVAL_OBJECTS:
			request.verb = FHA_STORE_LIST;
			break;
		case REMOVAL_DELETES:
			request.verb = FHA_STORE_DELETE;
			request.page = NULL;
			return removal_delete(removal, &request, err);
		case REMOVAL_INFO:
			request.verb = FHA_STORE_DELETE;
			request.keys = &info;
			request.key_count = 1;
			break;
		case REMOVAL_IS_DONE:
			return FHA_OK;
	}
	return fha_store_start(removal->store, &request, &removal->call, err);
}

/* --- answers */

static FhaCode
removal_take_page(FhaRemoval *removal, const FhaStoreAnswer *answer, FhaError *err)
{
	removal->page[0] = '\0';
	if (answer->next != NULL)
		memcpy(removal->page, answer->next, strlen(answer->next) + 1);
	removal_forget_page(removal);
	removal->items = calloc(answer->object_count + 1, sizeof(*removal->items));
	for (size_t i = 0; removal->items != NULL && i < answer->object_count; i++)
	{
		const FhaStoreObject *object = &answer->objects[i];
		RemovalItem *item = &removal->items[removal->item_count];

		if (answer->verb == FHA_STORE_LIST && strcmp(object->key, removal->info) == 0)
			continue;
		removal->item_count++;
		item->key = strdup(object->key);
		item->upload = object->upload == NULL ? NULL : strdup(object->upload);
		if (item->key == NULL || (object->upload != NULL && item->upload == NULL))
			return fha_error(err, FHA_NO_MEMORY, "out of memory");
	}
	return removal->items == NULL ? fha_error(err, FHA_NO_MEMORY, "out of memory") : FHA_OK;
}

/* What follows a page whose items are done with: the next page, or the next kind. */
static RemovalState
removal_after_page(const FhaRemoval *removal)
{
	bool is_uploads = removal->state <= REMOVAL_ABORTS;

	if (removal->page[0] != '\0')
		return is_uploads ? REMOVAL_UPLOADS : REMOVAL_OBJECTS;
	return is_uploads ? REMOVAL_OBJECTS : REMOVAL_INFO;
}

static FhaCode
removal_go_on(FhaRemoval *removal, const FhaStoreAnswer *answer, FhaError *err)
{
	FhaCode code = FHA_OK;

	switch (removal->state)
	{
		case REMOVAL_UPLOADS:
		case REMOVAL_OBJECTS:
			code = removal_take_page(removal, answer, err);
			if (removal->item_count == 0)
				removal->state = removal_after_page(removal);
			else
				removal->state =
					removal->state == REMOVAL_UPLOADS ? REMOVAL_ABORTS : REMOVAL_DELETES;
			break;
		case REMOVAL_ABORTS:
			if (++removal->item_at == removal->item_count)
				removal->state = removal_after_page(removal);
			break;
		case REMOVAL_DELETES:
			removal->state = removal_after_page(removal);
			break;
		case REMOVAL_INFO:
		case REMOVAL_IS_DONE:
			removal->state = REMOVAL_IS_DONE;
			break;
	}
	return code;
}

FhaCode
fha_removal_step(FhaRemoval *removal, FhaError *err)
{
	FhaStoreAnswer answer;
	FhaCode code = removal->error.code;

	while (code == FHA_OK && removal->state != REMOVAL_IS_DONE)
	{
		if (removal->call == NULL)
			code = removal_call(removal, &removal->error);
		if (code != FHA_OK)
			break;
		if (fha_store_step(removal->store, &answer) != FHA_OK)
			return FHA_AGAIN;
		removal->call = NULL;
		if (answer.code != FHA_OK)
			code =
				fha_error(&removal->error, answer.code, "could not remove base backup %s: %.150s",
						  removal->folder, answer.error.text);
		else
			code = removal_go_on(removal, &answer, &removal->error);
	}
	if (code != FHA_OK)
	{
		removal->error.code = code;
		if (err != NULL)
			*err = removal->error;
	}
	return code;
}
