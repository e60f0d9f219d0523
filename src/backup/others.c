/*
 * others.c: which WAL files the archive has under another key.  See backup/others.h.
 */
#include "backup/others.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Two timelines, and for each the directory that ends and the one that begins. */
#define OTHERS_DIRECTORIES 4
#define OTHERS_ROOM_MIN 64

typedef enum OthersState
{
	OTHERS_UNKNOWN,
	OTHERS_LISTING,
	OTHERS_LISTED,
	OTHERS_FAILED
} OthersState;

typedef struct OthersDirectory
{
	char beginning[FHA_OBJECT_KEY_SIZE]; /* of the keys in it */
	OthersState state;
	int64_t listed_at_ms;
	uint64_t used; /* the higher, the later */
	FhaStoreCall *call;
	FhaObjectName *names; /* those under other keys */
	size_t count, room;
	FhaError error;
} OthersDirectory;

struct FhaOthers
{
	FhaOthersSettings settings;
	char server[FHA_SERVER_NAME_SIZE];
	uint64_t uses;
	OthersDirectory directories[OTHERS_DIRECTORIES];
};

FhaCode
fha_others_open(FhaOthers **out, const FhaOthersSettings *settings, FhaError *err)
{
	FhaOthers *others = calloc(1, sizeof(*others));

	*out = others;
	if (others == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	others->settings = *settings;
	(void) snprintf(others->server, sizeof(others->server), "%s", settings->server);
	return FHA_OK;
}

void
fha_others_close(FhaOthers *others)
{
	if (others == NULL)
		return;
	for (size_t i = 0; i < OTHERS_DIRECTORIES; i++)
		free(others->directories[i].names);
	free(others);
}

/* --- which directory */

static void
others_beginning(const FhaOthers *others, const FhaWalFile *file, char out[FHA_OBJECT_KEY_SIZE])
{
	const FhaObjectName name = {.kind = FHA_OBJECT_WAL, .wal = *file};

	fha_layout_key(others->server, &name, out);
	if (file->kind != FHA_WAL_HISTORY)
		strrchr(out, '/')[1] = '\0';
}

/* The one of these keys; NULL: none. */
static OthersDirectory *
others_known(FhaOthers *others, const char *beginning)
{
	for (size_t i = 0; i < OTHERS_DIRECTORIES; i++)
	{
		if (strcmp(others->directories[i].beginning, beginning) == 0)
			return &others->directories[i];
	}
	return NULL;
}

/* The one that was not used for the longest time, without what is being listed; NULL: all are. */
static OthersDirectory *
others_free_place(FhaOthers *others)
{
	OthersDirectory *oldest = NULL;

	for (size_t i = 0; i < OTHERS_DIRECTORIES; i++)
	{
		OthersDirectory *directory = &others->directories[i];

		if (directory->state != OTHERS_LISTING &&
			(oldest == NULL || directory->used < oldest->used))
			oldest = directory;
	}
	return oldest;
}

static OthersDirectory *
others_directory(FhaOthers *others, const FhaWalFile *file)
{
	char beginning[FHA_OBJECT_KEY_SIZE];
	OthersDirectory *directory;

	others_beginning(others, file, beginning);
	directory = others_known(others, beginning);
	if (directory == NULL)
	{
		directory = others_free_place(others);
		if (directory == NULL)
			return NULL;
		directory->state = OTHERS_UNKNOWN;
		memcpy(directory->beginning, beginning, sizeof(beginning));
	}
	directory->used = ++others->uses;
	return directory;
}

/* --- listing */

static void
others_fail(OthersDirectory *directory, FhaCode code, const FhaError *why)
{
	directory->state = OTHERS_FAILED;
	(void) fha_error(&directory->error, code, "listing \"%.80s\": %.140s", directory->beginning,
					 why->text);
}

/* page: NULL: the first. */
static void
others_list(FhaOthers *others, OthersDirectory *directory, const char *page)
{
	const FhaStoreRequest request = {
		.verb = FHA_STORE_LIST,
		.key = directory->beginning,
		.page = page,
		.deadline_at_ms = fha_now_ms() + others->settings.patience_ms,
		.owner = directory,
	};
	FhaError why;
	FhaCode code = fha_store_start(others->settings.store, &request, &directory->call, &why);

	directory->state = OTHERS_LISTING;
	if (code != FHA_OK)
		others_fail(directory, code, &why);
}

static FhaCode
others_add(OthersDirectory *directory, const FhaObjectName *name, FhaError *err)
{
	if (directory->count == FHA_OTHERS_MAX)
		return fha_error(err, FHA_PROTOCOL, "it has more than %d WAL files under other names",
						 FHA_OTHERS_MAX);
	if (directory->count == directory->room)
	{
		size_t room = directory->room == 0 ? OTHERS_ROOM_MIN : 2 * directory->room;
		FhaObjectName *more = realloc(directory->names, room * sizeof(*more));

		if (more == NULL)
			return fha_error(err, FHA_NO_MEMORY, "out of memory");
		directory->names = more;
		directory->room = room;
	}
	directory->names[directory->count++] = *name;
	return FHA_OK;
}

static FhaCode
others_take_page(FhaOthers *others, OthersDirectory *directory, const FhaStoreAnswer *answer,
				 FhaError *err)
{
	FhaCode code = FHA_OK;

	for (size_t i = 0; i < answer->object_count && code == FHA_OK; i++)
	{
		FhaObjectName name = fha_layout_parse(others->server, answer->objects[i].key);

		if (name.kind == FHA_OBJECT_WAL && (name.compression != others->settings.compression ||
											name.encrypted != others->settings.encrypted))
			code = others_add(directory, &name, err);
	}
	return code;
}

void
fha_others_answer(FhaOthers *others, const FhaStoreAnswer *answer)
{
	OthersDirectory *directory = answer->owner;
	FhaError why = answer->error;
	FhaCode code = answer->code;
	/* The next call takes back what the answer has. */
	char page[FHA_STORE_PAGE_SIZE];

	directory->call = NULL;
	if (code == FHA_OK)
		code = others_take_page(others, directory, answer, &why);
	if (code != FHA_OK)
		others_fail(directory, code, &why);
	else if (answer->next != NULL)
	{
		(void) snprintf(page, sizeof(page), "%s", answer->next);
		others_list(others, directory, page);
	}
	else
	{
		directory->state = OTHERS_LISTED;
		directory->listed_at_ms = fha_now_ms();
	}
}

/* --- asking */

static bool
others_is_file(const FhaWalFile *a, const FhaWalFile *b)
{
	return a->kind == b->kind && a->timeline == b->timeline && a->log == b->log &&
		   a->segment == b->segment && a->offset == b->offset;
}

FhaCode
fha_others_find(FhaOthers *others, const FhaWalFile *file, bool *found, FhaObjectName *name,
				FhaError *err)
{
	OthersDirectory *directory = others_directory(others, file);

	*found = false;
	if (directory == NULL)
		return FHA_AGAIN;
	if (directory->state == OTHERS_UNKNOWN ||
		(directory->state == OTHERS_LISTED &&
		 fha_now_ms() - directory->listed_at_ms > FHA_OTHERS_GOOD_MS))
	{
		directory->count = 0;
		others_list(others, directory, NULL);
	}
	if (directory->state == OTHERS_LISTING)
		return FHA_AGAIN;
	if (directory->state == OTHERS_FAILED)
	{
		if (err != NULL)
			*err = directory->error;
		return directory->error.code;
	}
	for (size_t i = 0; i < directory->count && !*found; i++)
	{
		*found = others_is_file(&directory->names[i].wal, file);
		*name = directory->names[i];
	}
	return FHA_OK;
}

void
fha_others_retry(FhaOthers *others)
{
	for (size_t i = 0; i < OTHERS_DIRECTORIES; i++)
	{
		if (others->directories[i].state == OTHERS_FAILED)
			others->directories[i].state = OTHERS_UNKNOWN;
	}
}

void
fha_others_forget(FhaOthers *others, const FhaWalFile *file)
{
	OthersDirectory *directory;
	char beginning[FHA_OBJECT_KEY_SIZE];

	others_beginning(others, file, beginning);
	directory = others_known(others, beginning);
	if (directory != NULL && directory->state == OTHERS_LISTED)
		directory->state = OTHERS_UNKNOWN;
}

bool
fha_others_trouble(const FhaOthers *others, FhaError *why)
{
	for (size_t i = 0; i < OTHERS_DIRECTORIES; i++)
	{
		const OthersDirectory *directory = &others->directories[i];

		if (directory->state == OTHERS_LISTING && fha_store_call_waits(directory->call, why))
			return true;
	}
	return false;
}
