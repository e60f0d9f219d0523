/*
 * archive.c: WAL files on their way into the archive.  See backup/archive.h.
 *
 * A file is looked for in the archive under other keys, then packed, then created.  If it is there already it is compared, and so
 * nothing is sent of a file that is known to be there.
 */
#include "backup/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "backup/compare.h"
#include "backup/others.h"
#include "backup/packer.h"
#include "base/clock.h"

/* Those that are wanted, and those that a thread still packs though they are wanted no more. */
#define ARCHIVE_ENTRIES (1 + FHA_ARCHIVE_AHEAD_MAX + FHA_ARCHIVE_PARALLEL_MAX + 1)
/* A compressed file can be larger than it was. */
#define ARCHIVE_PACKED_MORE ((size_t) 64 * 1024)

typedef enum EntryState
{
	ENTRY_FREE,
	ENTRY_WAITS, /* for the listing, a thread or memory */
	ENTRY_PACKING,
	ENTRY_PACKED, /* to be sent */
	ENTRY_SENDING,
	ENTRY_THERE, /* it is in the archive: to be compared */
	ENTRY_COMPARING,
	ENTRY_DONE,
	ENTRY_FAILED
} EntryState;

typedef struct ArchiveEntry
{
	EntryState state;
	bool is_wanted;
	char name[FHA_WAL_FILE_SIZE];
	FhaWalFile file;
	char *data; /* packed */
	size_t size;
	FhaWalIdentity identity; /* of what was packed or compared */
	bool is_there;           /* in the archive, as an object ... */
	FhaObjectName there;     /* ... of this name */
	FhaStoreCall *call;
	FhaCompare *compare;
	FhaError error;
} ArchiveEntry;

struct FhaArchive
{
	FhaStore *store;
	FhaPacker *packer;
	FhaOthers *others;
	int directory; /* pg_wal */
	int fd;        /* epoll of what the store and the packer have */
	char server[FHA_SERVER_NAME_SIZE];
	bool has_keys;
	FhaSealKeys keys;
	FhaWalRules rules;
	FhaCompression compression;
	unsigned parallel;
	size_t memory;
	int64_t patience_ms;
	ArchiveEntry entries[ARCHIVE_ENTRIES];
	ArchiveEntry
		*wanted[1 + FHA_ARCHIVE_AHEAD_MAX]; /* in order: the first is the one that is asked for */
	size_t wanted_count;
	FhaArchiveCount count;
	FhaError trouble; /* OK: none */
};

/* --- opening and closing */

static FhaCode
archive_check(const FhaArchiveSettings *settings, FhaError *err)
{
	if (!fha_server_name_is_valid(settings->server))
		return fha_error(err, FHA_INVALID, "\"%.60s\" is no name of a server in a store",
						 settings->server);
	if (settings->parallel < 1 || settings->parallel > FHA_ARCHIVE_PARALLEL_MAX)
		return fha_error(err, FHA_INVALID, "%u files at a time: 1 to %d are possible",
						 settings->parallel, FHA_ARCHIVE_PARALLEL_MAX);
	if (settings->segment_size == 0 || settings->patience_ms <= 0)
		return fha_error(err, FHA_INVALID, "the size of a segment and the patience are above 0");
	return FHA_OK;
}

static unsigned
archive_threads(unsigned parallel)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (cores > 0 && (unsigned long) cores < parallel)
		parallel = (unsigned) cores;
	return parallel < FHA_PACKER_THREADS_MAX ? parallel : FHA_PACKER_THREADS_MAX;
}

static FhaCode
archive_open_packer(FhaArchive *archive, int level, FhaError *err)
{
	const FhaPackerSettings settings = {
		.directory = archive->directory,
		.rules = archive->rules,
		.compression = archive->compression,
		.level = level,
		.key = archive->has_keys ? &archive->keys.keys[0] : NULL,
		.threads = archive_threads(archive->parallel),
	};

	return fha_packer_open(&archive->packer, &settings, err);
}

static FhaCode
archive_open_others(FhaArchive *archive, FhaError *err)
{
	const FhaOthersSettings settings = {
		.store = archive->store,
		.server = archive->server,
		.compression = archive->compression,
		.encrypted = archive->has_keys,
		.patience_ms = archive->patience_ms,
	};

	return fha_others_open(&archive->others, &settings, err);
}

static FhaCode
archive_watch(FhaArchive *archive, int fd, FhaError *err)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(archive->fd, EPOLL_CTL_ADD, fd, &event) == 0
			   ? FHA_OK
			   : fha_error_errno(err, FHA_IO, "epoll_ctl");
}

static FhaCode
archive_open_parts(FhaArchive *archive, const FhaArchiveSettings *settings, FhaError *err)
{
	FhaCode code;

	archive->directory = open(settings->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (archive->directory < 0)
		return fha_error_errno(err, FHA_IO, "\"%.120s\"", settings->directory);
	archive->fd = epoll_create1(EPOLL_CLOEXEC);
	if (archive->fd < 0)
		return fha_error_errno(err, FHA_IO,
							   "epoll_create1"); /* LCOV_EXCL_LINE: the kernel refuses */
	code = fha_store_open(&archive->store, settings->store, err);
	if (code == FHA_OK)
		code = archive_open_packer(archive, settings->level, err);
	if (code == FHA_OK)
		code = archive_open_others(archive, err);
	if (code == FHA_OK)
		code = archive_watch(archive, fha_store_fd(archive->store), err);
	if (code == FHA_OK)
		code = archive_watch(archive, fha_packer_fd(archive->packer), err);
	return code;
}

FhaCode
fha_archive_open(FhaArchive **out, const FhaArchiveSettings *settings, FhaError *err)
{
	FhaArchive *archive;
	FhaCode code = archive_check(settings, err);

	*out = NULL;
	if (code != FHA_OK)
		return code;
	archive = calloc(1, sizeof(*archive));
	if (archive == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	archive->directory = -1;
	archive->fd = -1;
	(void) snprintf(archive->server, sizeof(archive->server), "%s", settings->server);
	archive->has_keys = settings->keys != NULL;
	if (settings->keys != NULL)
		archive->keys = *settings->keys;
	archive->rules = (FhaWalRules){settings->segment_size, settings->systemid};
	archive->compression = settings->compression;
	archive->parallel = settings->parallel;
	archive->memory = settings->memory;
	archive->patience_ms = settings->patience_ms;
	code = archive_open_parts(archive, settings, err);
	if (code == FHA_OK)
		*out = archive;
	else
		fha_archive_close(archive);
	return code;
}

/* Its call must have ended. */
static void
archive_drop_data(ArchiveEntry *entry)
{
	free(entry->data);
	entry->data = NULL;
	entry->size = 0;
}

static void
archive_drop_compare(ArchiveEntry *entry)
{
	fha_compare_close(entry->compare);
	entry->compare = NULL;
}

static void
archive_cancel(FhaArchive *archive, ArchiveEntry *entry)
{
	if (entry->call != NULL)
		fha_store_cancel(archive->store, entry->call);
	entry->call = NULL;
}

static void
archive_free_entry(FhaArchive *archive, ArchiveEntry *entry)
{
	archive_cancel(archive, entry);
	archive_drop_compare(entry);
	archive_drop_data(entry);
	entry->state = ENTRY_FREE;
}

void
fha_archive_close(FhaArchive *archive)
{
	if (archive == NULL)
		return;
	for (size_t i = 0; i < ARCHIVE_ENTRIES; i++)
		archive_free_entry(archive, &archive->entries[i]);
	fha_packer_close(archive->packer);
	fha_store_close(archive->store);
	fha_others_close(archive->others);
	if (archive->fd >= 0)
		(void) close(archive->fd);
	if (archive->directory >= 0)
		(void) close(archive->directory);
	fha_seal_keys_forget(&archive->keys);
	free(archive);
}

/* --- how it is with a file */

static void
archive_fail(ArchiveEntry *entry, FhaCode code, const FhaError *why)
{
	entry->state = ENTRY_FAILED;
	entry->error = *why;
	entry->error.code = code;
}

/* The store's word for it.  That a bucket is not there must not be taken for a file that is not there. */
static void
archive_fail_by_store(ArchiveEntry *entry, FhaCode code, const FhaError *why)
{
	FhaError error;

	(void) fha_error(&error, code, "%s: %.180s", entry->name, why->text);
	archive_fail(entry, code == FHA_NOT_FOUND ? FHA_INVALID : code, &error);
}

static void
archive_done(FhaArchive *archive, ArchiveEntry *entry)
{
	archive->count.files++;
	archive->count.bytes += (uint64_t) entry->identity.size;
	archive_drop_data(entry);
	entry->state = ENTRY_DONE;
}

static FhaObjectName
archive_object(const FhaArchive *archive, const ArchiveEntry *entry)
{
	return entry->is_there ? entry->there
						   : (FhaObjectName){.kind = FHA_OBJECT_WAL,
											 .wal = entry->file,
											 .compression = archive->compression,
											 .encrypted = archive->has_keys};
}

/* Its key, there or as it will be. */
static void
archive_key(const FhaArchive *archive, const ArchiveEntry *entry, char out[FHA_OBJECT_KEY_SIZE])
{
	const FhaObjectName name = archive_object(archive, entry);

	fha_layout_key(archive->server, &name, out);
}

/* --- from pg_wal into memory */

/* What a file may take of memory before it is known how much it takes. */
static size_t
archive_expected(const FhaArchive *archive, const ArchiveEntry *entry)
{
	uint64_t size = entry->file.kind == FHA_WAL_SEGMENT || entry->file.kind == FHA_WAL_PARTIAL
						? archive->rules.segment_size
						: 0;

	return (size_t) size + ARCHIVE_PACKED_MORE;
}

static size_t
archive_used(const FhaArchive *archive)
{
	size_t used = 0;

	for (size_t i = 0; i < ARCHIVE_ENTRIES; i++)
	{
		const ArchiveEntry *entry = &archive->entries[i];

		used += entry->state == ENTRY_PACKING ? archive_expected(archive, entry) : entry->size;
	}
	return used;
}

static unsigned
archive_count_of(const FhaArchive *archive, EntryState one, EntryState other)
{
	unsigned count = 0;

	for (size_t i = 0; i < ARCHIVE_ENTRIES; i++)
		count += archive->entries[i].state == one || archive->entries[i].state == other;
	return count;
}

/* The file that is asked for waits for no other one. */
static bool
archive_may_pack(const FhaArchive *archive, const ArchiveEntry *entry)
{
	return entry == archive->wanted[0] ||
		   (archive_count_of(archive, ENTRY_PACKING, ENTRY_PACKING) < archive->parallel &&
			archive_used(archive) + archive_expected(archive, entry) <= archive->memory);
}

static void
archive_pack(FhaArchive *archive, ArchiveEntry *entry)
{
	char key[FHA_OBJECT_KEY_SIZE];
	FhaError why;
	FhaCode code;

	archive_key(archive, entry, key);
	code = fha_packer_start(archive->packer, entry->name, key, entry, &why);
	if (code == FHA_OK)
		entry->state = ENTRY_PACKING;
	else
		archive_fail(entry, code, &why);
}

/* Is it there under another key?  Else it is packed. */
static void
archive_begin(FhaArchive *archive, ArchiveEntry *entry)
{
	bool found = false;
	FhaError why;
	FhaCode code = entry->is_there ? FHA_OK
								   : fha_others_find(archive->others, &entry->file, &found,
													 &entry->there, &why);

	entry->is_there = entry->is_there || found;
	if (code == FHA_AGAIN)
		return;
	if (code != FHA_OK)
		archive_fail_by_store(entry, code, &why);
	else if (entry->is_there)
		entry->state = ENTRY_THERE;
	else
		archive_pack(archive, entry);
}

/* false: there is no room for it yet. */
static bool
archive_try_to_begin(FhaArchive *archive, ArchiveEntry *entry)
{
	if (entry->state != ENTRY_WAITS)
		return true;
	if (!archive_may_pack(archive, entry))
		return false;
	archive_begin(archive, entry);
	return true;
}

static void
archive_take_packed(FhaArchive *archive)
{
	FhaPacked packed;

	while (fha_packer_step(archive->packer, &packed))
	{
		ArchiveEntry *entry = packed.owner;

		entry->data = packed.data;
		entry->size = packed.size;
		entry->identity = packed.identity;
		entry->state = ENTRY_PACKED;
		if (!entry->is_wanted)
			archive_free_entry(archive, entry);
		else if (packed.code != FHA_OK)
			archive_fail(entry, packed.code, &packed.error);
	}
}

/* --- from memory into the store */

static bool
archive_may_call(const FhaArchive *archive, const ArchiveEntry *entry)
{
	return entry == archive->wanted[0] ||
		   archive_count_of(archive, ENTRY_SENDING, ENTRY_COMPARING) < archive->parallel;
}

/* Is what was packed still what lies in pg_wal?  If not, it is packed anew. */
static bool
archive_is_fresh(const FhaArchive *archive, ArchiveEntry *entry)
{
	FhaError why;
	FhaCode code = fha_wal_identity_check(archive->directory, entry->name, &entry->identity, &why);

	if (code == FHA_OK)
		return true;
	archive_drop_data(entry);
	entry->is_there = false;
	if (code == FHA_AGAIN)
		entry->state = ENTRY_WAITS;
	else
		archive_fail(entry, code, &why);
	return false;
}

/* A PUT, or a GET for the comparison. */
static void
archive_call(FhaArchive *archive, ArchiveEntry *entry, EntryState state)
{
	char key[FHA_OBJECT_KEY_SIZE];
	const FhaStoreRequest request = {
		.verb = state == ENTRY_SENDING ? FHA_STORE_PUT : FHA_STORE_GET,
		.key = key,
		.data = entry->data,
		.size = entry->size,
		.if_absent = true,
		.take = fha_compare_take,
		.deadline_at_ms = fha_now_ms() + archive->patience_ms,
		.owner = state == ENTRY_SENDING ? (void *) entry : entry->compare,
	};
	FhaError why;
	FhaCode code;

	archive_key(archive, entry, key);
	code = fha_store_start(archive->store, &request, &entry->call, &why);
	entry->state = state;
	if (code != FHA_OK)
		archive_fail_by_store(entry, code, &why);
}

static void
archive_compare(FhaArchive *archive, ArchiveEntry *entry)
{
	char key[FHA_OBJECT_KEY_SIZE];
	FhaError why;
	FhaCode code;

	archive_key(archive, entry, key);
	code = fha_compare_open(&entry->compare, archive->directory, entry->name, &archive->rules,
							&entry->there, key, archive->has_keys ? &archive->keys : NULL, &why);
	if (code != FHA_OK)
	{
		archive_fail(entry, code, &why);
		return;
	}
	archive_call(archive, entry, ENTRY_COMPARING);
	if (entry->state == ENTRY_FAILED)
		archive_drop_compare(entry);
}

/* The object's bytes came, or are not needed any more. */
static void
archive_compared(FhaArchive *archive, ArchiveEntry *entry)
{
	FhaError why;
	FhaCode code = fha_compare_end(entry->compare, &entry->identity, &why);

	if (code != FHA_OK)
		archive_fail(entry, code, &why);
	else
	{
		archive->count.compared++;
		archive_done(archive, entry);
	}
}

static void
archive_sent(FhaArchive *archive, ArchiveEntry *entry, const FhaStoreAnswer *answer)
{
	if (answer->code == FHA_OK)
	{
		archive->count.stored_bytes += entry->size;
		archive_done(archive, entry);
	}
	else if (answer->code == FHA_CONFLICT)
	{
		/* Somebody was first: maybe we, with an answer that was lost. */
		entry->there = archive_object(archive, entry);
		entry->is_there = true;
		archive_drop_data(entry);
		entry->state = ENTRY_THERE;
	}
	else
		archive_fail_by_store(entry, answer->code, &answer->error);
}

static void
archive_fetched(FhaArchive *archive, ArchiveEntry *entry, const FhaStoreAnswer *answer)
{
	if (answer->code == FHA_OK)
		archive_compared(archive, entry);
	else
	{
		/* Another reading decides whether it is there: somebody moves objects. */
		bool is_moved = answer->code == FHA_NOT_FOUND || answer->code == FHA_CONFLICT;

		if (is_moved)
			fha_others_forget(archive->others, &entry->file);
		entry->is_there = !is_moved;
		archive_fail_by_store(entry, is_moved ? FHA_IO : answer->code, &answer->error);
	}
	archive_drop_compare(entry);
}

/* Whose call has ended. */
static ArchiveEntry *
archive_entry_of(FhaArchive *archive, const FhaStoreCall *call)
{
	for (size_t i = 0; i < ARCHIVE_ENTRIES; i++)
	{
		if (archive->entries[i].call == call)
			return &archive->entries[i];
	}
	return NULL; /* LCOV_EXCL_LINE: what was cancelled has no answer */
}

static void
archive_take_answer(FhaArchive *archive, const FhaStoreAnswer *answer)
{
	ArchiveEntry *entry;

	/* These say that the store works. */
	archive->trouble = (FhaError){.code = FHA_OK};
	if (answer->code != FHA_OK && answer->code != FHA_CONFLICT && answer->code != FHA_NOT_FOUND)
	{
		archive->trouble = answer->error;
		archive->trouble.code = answer->code;
	}
	if (answer->verb == FHA_STORE_LIST)
	{
		fha_others_answer(archive->others, answer);
		return;
	}
	entry = archive_entry_of(archive, answer->call);
	if (entry == NULL)
		return; /* LCOV_EXCL_LINE: as above */
	entry->call = NULL;
	if (answer->verb == FHA_STORE_PUT)
		archive_sent(archive, entry, answer);
	else
		archive_fetched(archive, entry, answer);
}

/* --- all files */

static void
archive_take_answers(FhaArchive *archive)
{
	FhaStoreAnswer answer;

	while (fha_store_step(archive->store, &answer) == FHA_OK)
		archive_take_answer(archive, &answer);
	for (size_t i = 0; i < ARCHIVE_ENTRIES; i++)
	{
		ArchiveEntry *entry = &archive->entries[i];

		if (entry->state == ENTRY_COMPARING && fha_compare_is_decided(entry->compare))
		{
			archive_cancel(archive, entry);
			archive_compared(archive, entry);
			archive_drop_compare(entry);
		}
	}
}

/* The last failure of what is tried again. */
static void
archive_look_for_trouble(FhaArchive *archive)
{
	(void) fha_others_trouble(archive->others, &archive->trouble);
	for (size_t i = 0; i < ARCHIVE_ENTRIES; i++)
	{
		if (archive->entries[i].call != NULL)
			(void) fha_store_call_waits(archive->entries[i].call, &archive->trouble);
	}
}

static void
archive_go_on(FhaArchive *archive)
{
	for (size_t i = 0; i < archive->wanted_count; i++)
	{
		/* In order: what comes later waits for memory with what comes before. */
		if (!archive_try_to_begin(archive, archive->wanted[i]))
			break;
	}
	for (size_t i = 0; i < archive->wanted_count; i++)
	{
		ArchiveEntry *entry = archive->wanted[i];

		if (!archive_may_call(archive, entry))
			break;
		if (entry->state == ENTRY_THERE)
			archive_compare(archive, entry);
		else if (entry->state == ENTRY_PACKED && archive_is_fresh(archive, entry))
			archive_call(archive, entry, ENTRY_SENDING);
		else
			(void) archive_try_to_begin(archive, entry);
	}
}

/* --- what is wanted */

static ArchiveEntry *
archive_find(FhaArchive *archive, const char *name)
{
	for (size_t i = 0; i < ARCHIVE_ENTRIES; i++)
	{
		if (archive->entries[i].state != ENTRY_FREE && strcmp(archive->entries[i].name, name) == 0)
			return &archive->entries[i];
	}
	return NULL;
}

static ArchiveEntry *
archive_free_place(FhaArchive *archive)
{
	for (size_t i = 0; i < ARCHIVE_ENTRIES; i++)
	{
		if (archive->entries[i].state == ENTRY_FREE)
			return &archive->entries[i];
	}
	return NULL;
}

static void
archive_want(FhaArchive *archive, const char *name)
{
	ArchiveEntry *entry = archive_find(archive, name);
	FhaWalFile file;

	if (archive->wanted_count > FHA_ARCHIVE_AHEAD_MAX || !fha_wal_file_parse(name, &file) ||
		(entry != NULL && entry->is_wanted))
		return;
	if (entry == NULL)
	{
		entry = archive_free_place(archive);
		if (entry == NULL)
			return;
		*entry = (ArchiveEntry){.state = ENTRY_WAITS, .file = file};
		(void) snprintf(entry->name, sizeof(entry->name), "%s", name);
	}
	entry->is_wanted = true;
	archive->wanted[archive->wanted_count++] = entry;
}

/* A thread cannot be stopped in the middle of a file: that entry goes when it comes back. */
static void
archive_drop_unwanted(FhaArchive *archive)
{
	for (size_t i = 0; i < ARCHIVE_ENTRIES; i++)
	{
		ArchiveEntry *entry = &archive->entries[i];

		if (!entry->is_wanted && entry->state != ENTRY_PACKING)
			archive_free_entry(archive, entry);
	}
}

/* What a person has to look at is tried again only when it is asked for. */
static void
archive_retry(FhaArchive *archive)
{
	fha_others_retry(archive->others);
	for (size_t i = 0; i < archive->wanted_count; i++)
	{
		ArchiveEntry *entry = archive->wanted[i];

		if (entry->state == ENTRY_FAILED && (i == 0 || entry->error.code != FHA_CONFLICT))
			entry->state = entry->data != NULL ? ENTRY_PACKED : ENTRY_WAITS;
	}
}

static bool
archive_is_named(const char *name, const char *file, const char *const *ahead, size_t ahead_count)
{
	bool is_named = strcmp(name, file) == 0;

	for (size_t i = 0; i < ahead_count && !is_named; i++)
		is_named = strcmp(name, ahead[i]) == 0;
	return is_named;
}

FhaCode
fha_archive_send(FhaArchive *archive, const char *file, const char *const *ahead,
				 size_t ahead_count, FhaError *err)
{
	FhaWalFile parsed;

	if (!fha_wal_file_parse(file, &parsed))
		return fha_error(err, FHA_INVALID, "\"%.60s\" is no name of a WAL file", file);
	if (ahead_count > FHA_ARCHIVE_AHEAD_MAX)
		ahead_count = FHA_ARCHIVE_AHEAD_MAX;
	for (size_t i = 0; i < ARCHIVE_ENTRIES; i++)
		archive->entries[i].is_wanted =
			archive_is_named(archive->entries[i].name, file, ahead, ahead_count);
	archive_drop_unwanted(archive);
	for (size_t i = 0; i < ARCHIVE_ENTRIES; i++)
		archive->entries[i].is_wanted = false;
	archive->wanted_count = 0;
	archive_want(archive, file);
	for (size_t i = 0; i < ahead_count; i++)
		archive_want(archive, ahead[i]);
	if (archive->wanted_count == 0)
		return fha_error(err, FHA_IO, "the disk does not answer: no more files are read at a time");
	archive_retry(archive);
	return FHA_OK;
}

FhaCode
fha_archive_step(FhaArchive *archive, const char *file, FhaError *err)
{
	ArchiveEntry *entry = archive->wanted[0];

	archive_take_packed(archive);
	archive_take_answers(archive);
	if (archive->wanted_count == 0 || strcmp(entry->name, file) != 0)
		return fha_error(err, FHA_INVALID, "%.40s is not the file that was asked for last", file);
	/* What was archived ahead must still be what is there under that name. */
	if (entry->state == ENTRY_DONE)
		(void) archive_is_fresh(archive, entry);
	archive_go_on(archive);
	archive_look_for_trouble(archive);
	if (entry->state == ENTRY_DONE)
		return FHA_OK;
	if (entry->state != ENTRY_FAILED)
		return FHA_AGAIN;
	if (err != NULL)
		*err = entry->error;
	return entry->error.code;
}

bool
fha_archive_trouble(const FhaArchive *archive, FhaError *why)
{
	*why = archive->trouble;
	return archive->trouble.code != FHA_OK;
}

FhaArchiveCount
fha_archive_count(const FhaArchive *archive)
{
	return archive->count;
}

int
fha_archive_fd(const FhaArchive *archive)
{
	return archive->fd;
}

int64_t
fha_archive_wake_at_ms(const FhaArchive *archive)
{
	return fha_store_wake_at_ms(archive->store);
}
