/*
 * inventory.c: a store is read into a catalogue.  See inventory.h.
 *
 * A listing names objects whose bytes are wanted too.  They are read once it is whole, one after the other: there are
 * as many as backups and timelines.
 */
#include "backup/inventory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backup/unpack.h"

/* The most that is read of an object: one byte more than the catalogue takes, which then refuses it. */
#define OBJECT_SIZE \
	((FHA_BACKUP_INFO_MAX > FHA_HISTORY_MAX ? FHA_BACKUP_INFO_MAX : FHA_HISTORY_MAX) + 1)
#define READS_MAX 5 /* of an object that others replace meanwhile */

typedef struct InventoryWanted
{
	char *key;
	FhaObjectName name;
} InventoryWanted;

typedef struct Inventory
{
	FhaStore *store;
	const char *server;
	const FhaSealKeys *keys;
	int64_t deadline_at_ms;
	FhaCatalogue *catalogue;
	InventoryWanted *wanted;
	size_t wanted_count;
	size_t wanted_room;
	char *bytes; /* of the object that is read, in room for OBJECT_SIZE */
	size_t size;
} Inventory;

static FhaCode
inventory_no_memory(FhaError *err)
{
	return fha_error(err, FHA_NO_MEMORY, "out of memory");
}

/* --- listings */

static bool
inventory_wants(const FhaObjectName *name)
{
	return name->kind == FHA_OBJECT_BACKUP_INFO || name->kind == FHA_OBJECT_KEEP ||
		   (name->kind == FHA_OBJECT_WAL && name->wal.kind == FHA_WAL_HISTORY);
}

static FhaCode
inventory_want(Inventory *inventory, const char *key, const FhaObjectName *name, FhaError *err)
{
	InventoryWanted *place;

	if (inventory->wanted_count == inventory->wanted_room)
	{
		size_t room = inventory->wanted_room == 0 ? 64 : 2 * inventory->wanted_room;

		place = realloc(inventory->wanted, room * sizeof(*place));
		if (place == NULL)
			return inventory_no_memory(err);
		inventory->wanted = place;
		inventory->wanted_room = room;
	}
	place = &inventory->wanted[inventory->wanted_count];
	place->name = *name;
	place->key = strdup(key);
	if (place->key == NULL)
		return inventory_no_memory(err);
	inventory->wanted_count++;
	return FHA_OK;
}

static FhaCode
inventory_add(Inventory *inventory, const FhaStoreObject *object, FhaError *err)
{
	FhaObjectName name = fha_layout_parse(inventory->server, object->key);
	FhaCode code =
		fha_catalogue_add(inventory->catalogue, object->key, object->size, object->modified_s, err);

	return code == FHA_OK && inventory_wants(&name)
			   ? inventory_want(inventory, object->key, &name, err)
			   : code;
}

/* All pages of what begins so. */
static FhaCode
inventory_list(Inventory *inventory, const char *beginning, FhaError *err)
{
	FhaStoreRequest request = {
		.verb = FHA_STORE_LIST, .key = beginning, .deadline_at_ms = inventory->deadline_at_ms};
	char page[FHA_STORE_PAGE_SIZE];
	FhaStoreAnswer answer;

	do
	{
		FhaCode code = fha_store_call(inventory->store, &request, &answer);

		if (code != FHA_OK)
			return fha_error(err, code, "%s", answer.error.text);
		for (size_t i = 0; i < answer.object_count && code == FHA_OK; i++)
			code = inventory_add(inventory, &answer.objects[i], err);
		if (code != FHA_OK)
			return code;
		if (answer.next != NULL)
			(void) snprintf(page, sizeof(page), "%s", answer.next);
		request.page = page;
	} while (answer.next != NULL);
	return FHA_OK;
}

/* Keeps that barman-cloud wrote behind a second slash; a store that can hold no such key has none. */
static FhaCode
inventory_list_with_slash(Inventory *inventory, const char *base, FhaError *err)
{
	char beginning[FHA_OBJECT_KEY_SIZE + 1];
	FhaCode code;

	(void) snprintf(beginning, sizeof(beginning), "/%s", base);
	code = inventory_list(inventory, beginning, err);
	return code == FHA_INVALID ? FHA_OK : code;
}

/* --- bytes of objects */

static size_t
inventory_take(const char *data, size_t size, void *owner)
{
	Inventory *inventory = owner;

	size_t room = OBJECT_SIZE - inventory->size;

	memcpy(inventory->bytes + inventory->size, data, size < room ? size : room);
	inventory->size += size < room ? size : room;
	return size;
}

/* What came out of a stream goes to the end of *out, which has OBJECT_SIZE bytes.  AGAIN: it wants more. */
static FhaCode
inventory_drain(FhaStream *stream, char *out, size_t *size, FhaError *err)
{
	const char *data;
	size_t found;
	FhaCode code;

	while ((code = fha_stream_look(stream, &data, &found, err)) == FHA_OK && found > 0)
	{
		if (found >= OBJECT_SIZE - *size)
			return fha_error(err, FHA_INVALID, "it has %d bytes and more", OBJECT_SIZE);
		memcpy(out + *size, data, found);
		*size += found;
		fha_stream_drop(stream, found);
	}
	return code;
}

/* All that was read through the stream. */
static FhaCode
inventory_pass(Inventory *inventory, FhaStream *stream, char *out, size_t *size, FhaError *err)
{
	size_t at = 0;
	FhaCode code = FHA_AGAIN;

	while (at < inventory->size && code == FHA_AGAIN)
	{
		size_t taken;

		code = fha_stream_write(stream, inventory->bytes + at, inventory->size - at, &taken, err);
		if (code != FHA_OK)
			return code;
		at += taken;
		code = inventory_drain(stream, out, size, err);
	}
	if (code == FHA_AGAIN)
		code = fha_stream_finish(stream, err);
	return code == FHA_OK ? inventory_drain(stream, out, size, err) : code;
}

/* What was read, as it was before it was packed.  It replaces what was read. */
static FhaCode
inventory_unpack(Inventory *inventory, const InventoryWanted *wanted, FhaError *err)
{
	FhaStream *stream = NULL;
	char *plain = malloc(OBJECT_SIZE);
	size_t size = 0;
	FhaCode code;

	if (plain == NULL)
		return inventory_no_memory(err);
	code = fha_unpack_open(&stream, &wanted->name, inventory->keys, wanted->key, err);
	if (code == FHA_OK)
		code = inventory_pass(inventory, stream, plain, &size, err);
	fha_stream_close(stream);
	if (code == FHA_OK)
	{
		memcpy(inventory->bytes, plain, size);
		inventory->size = size;
	}
	free(plain);
	return code;
}

/* NOT_FOUND: it has vanished.  Read anew while another one replaces it: what came is a beginning of what was there. */
static FhaCode
inventory_get(Inventory *inventory, const InventoryWanted *wanted, FhaError *err)
{
	FhaStoreRequest request = {.verb = FHA_STORE_GET,
							   .key = wanted->key,
							   .take = inventory_take,
							   .owner = inventory,
							   .deadline_at_ms = inventory->deadline_at_ms};
	FhaStoreAnswer answer;
	FhaCode code = FHA_CONFLICT;

	for (int i = 0; i < READS_MAX && code == FHA_CONFLICT; i++)
	{
		inventory->size = 0;
		code = fha_store_call(inventory->store, &request, &answer);
	}
	return code == FHA_OK ? FHA_OK : fha_error(err, code, "%s", answer.error.text);
}

/* What cannot be unpacked is given as nothing, so that its timeline has no history. */
static FhaCode
inventory_put_history(Inventory *inventory, const InventoryWanted *wanted, FhaError *err)
{
	FhaError why;
	FhaCode code = inventory_unpack(inventory, wanted, &why);

	if (code == FHA_NO_MEMORY)
		return inventory_no_memory(err);
	return fha_catalogue_put_history(inventory->catalogue, wanted->name.wal.timeline,
									 inventory->bytes, code == FHA_OK ? inventory->size : 0, err);
}

static FhaCode
inventory_put(Inventory *inventory, const InventoryWanted *wanted, FhaError *err)
{
	switch (wanted->name.kind)
	{
		case FHA_OBJECT_BACKUP_INFO:
			return fha_catalogue_put_info(inventory->catalogue, wanted->name.backup_id,
										  inventory->bytes, inventory->size, err);
		case FHA_OBJECT_KEEP:
			return fha_catalogue_put_keep(inventory->catalogue, wanted->name.backup_id,
										  inventory->bytes, inventory->size, err);
		default:
			return inventory_put_history(inventory, wanted, err);
	}
}

static FhaCode
inventory_read_wanted(Inventory *inventory, FhaError *err)
{
	for (size_t i = 0; i < inventory->wanted_count; i++)
	{
		/* analyzer: no leak, fha_inventory_read() frees what is wanted */
		FhaCode code = inventory_get(inventory, &inventory->wanted[i], err);

		if (code == FHA_OK)
			code = inventory_put(inventory, &inventory->wanted[i], err);
		if (code != FHA_OK && code != FHA_NOT_FOUND)
			return code;
	}
	return FHA_OK;
}

static FhaCode
inventory_fill(Inventory *inventory, FhaError *err)
{
	char beginning[FHA_OBJECT_KEY_SIZE];
	FhaCode code;

	fha_layout_base(inventory->server, beginning);
	code = inventory_list(inventory, beginning, err);
	if (code == FHA_OK)
		code = inventory_list_with_slash(inventory, beginning, err);
	if (code == FHA_OK)
	{
		fha_layout_wals(inventory->server, beginning);
		code = inventory_list(inventory, beginning, err);
	}
	return code == FHA_OK ? inventory_read_wanted(inventory, err) : code;
}

FhaCode
fha_inventory_read(FhaCatalogue **out, FhaStore *store, const char *server, const FhaSealKeys *keys,
				   int64_t now_s, int64_t deadline_at_ms, FhaError *err)
{
	Inventory inventory = {
		.store = store, .server = server, .keys = keys, .deadline_at_ms = deadline_at_ms};
	FhaCode code;

	inventory.catalogue = fha_catalogue_new(server);
	inventory.bytes = malloc(OBJECT_SIZE);
	code = inventory.catalogue == NULL || inventory.bytes == NULL ? inventory_no_memory(err)
																  : inventory_fill(&inventory, err);
	for (size_t i = 0; i < inventory.wanted_count; i++)
		free(inventory.wanted[i].key);
	free(inventory.wanted);
	free(inventory.bytes);
	if (code == FHA_OK)
	{
		fha_catalogue_finish(inventory.catalogue, now_s);
		*out = inventory.catalogue;
		return FHA_OK;
	}
	fha_catalogue_free(inventory.catalogue);
	return code;
}
