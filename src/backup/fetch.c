/*
 * fetch.c: WAL files out of an archive.  See fetch.h.
 */
#include "backup/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/catalogue.h"
#include "backup/layout.h"
#include "backup/unpack.h"
#include "backup/wal_page.h"
#include "base/file.h"

#define ASIDE ".fetching"
#define SEGMENT_SIZE_MAX (UINT64_C(1) << 30)

typedef enum FetchStage
{
	FETCH_FREE,
	FETCH_GUESSES, /* an object that may be there is read */
	FETCH_LOOKS,   /* what begins with the name is listed */
	FETCH_READS,   /* an object that was listed is read */
	FETCH_PROVES,  /* is there anything of the server? */
	FETCH_ENDED
} FetchStage;

/* What is written, until it is what the name says. */
typedef struct FetchOut
{
	FhaStream *stream;
	int fd;
	uint64_t size, max;
	char first[FHA_WAL_PAGE_SIZE];
	FhaError error;
} FetchOut;

typedef struct FetchJob
{
	FetchStage stage;
	FhaFetch *fetch;
	FhaWalFile wal;
	char file[FHA_WAL_FILE_SIZE];
	char path[FHA_PATH_SIZE];
	char aside[FHA_FETCH_ASIDE_SIZE];
	int64_t deadline_at_ms;
	void *owner;
	FhaStoreCall *call;
	FhaObjectName name; /* of the object that is read, or that a listing has found */
	bool is_found, is_sealed;
	FetchOut out;
	FhaFetchAnswer answer;
} FetchJob;

struct FhaFetch
{
	FhaStore *store;
	FhaFetchSettings settings;
	char server[FHA_SERVER_NAME_SIZE];
	FhaSealKeys keys;
	FhaObjectName guess; /* compression and encrypted alone */
	FetchJob jobs[FHA_FETCH_MAX];
};

/* --- what a file must be */

/*
 * PostgreSQL ends recovery at a segment that is not what it expects, as if the archive ended there, and promotes.  So each
 * is looked at before it gets one.
 */
static FhaCode
fetch_check_bytes(const FhaFetchSettings *settings, const FhaWalFile *wal, const char *file,
				  const char first[FHA_WAL_PAGE_SIZE], uint64_t size, FhaError *err)
{
	const FhaWalRules rules = {settings->segment_size, settings->systemid};

	if (wal->kind == FHA_WAL_SEGMENT)
		return fha_wal_page_check(&rules, wal, file, first, size, err);
	if (size == 0)
		return fha_error(err, FHA_INVALID, "%s is empty", file);
	return FHA_OK;
}

static uint64_t
fetch_size_max(const FhaFetchSettings *settings, const FhaWalFile *wal)
{
	if (wal->kind == FHA_WAL_SEGMENT || wal->kind == FHA_WAL_PARTIAL)
		return settings->segment_size != 0 ? settings->segment_size : SEGMENT_SIZE_MAX;
	return FHA_HISTORY_MAX;
}

FhaCode
fha_fetch_check(const FhaFetchSettings *settings, const char *file, const char *path, FhaError *err)
{
	char first[FHA_WAL_PAGE_SIZE] = {0};
	FhaWalFile wal;
	struct stat seen;
	ssize_t got = -1;
	int fd;

	if (!fha_wal_file_parse(file, &wal))
		return fha_error(err, FHA_INVALID, "\"%.60s\" is no file of WAL", file);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return fha_error_errno(err, errno == ENOENT ? FHA_NOT_FOUND : FHA_IO,
							   "could not open \"%.100s\"", path);
	if (fstat(fd, &seen) == 0)
		got = pread(fd, first, sizeof(first), 0);
	(void) close(fd);
	if (got < 0)
		return fha_error_errno(err, FHA_IO, "could not read \"%.100s\"", path);
	return fetch_check_bytes(settings, &wal, file, first, (uint64_t) seen.st_size, err);
}

/* --- the file beside */

bool
fha_fetch_aside(const char *path, char out[FHA_FETCH_ASIDE_SIZE])
{
	return (size_t) snprintf(out, FHA_FETCH_ASIDE_SIZE, "%s" ASIDE, path) < FHA_FETCH_ASIDE_SIZE;
}

bool
fha_fetch_is_under_way(const char *path)
{
	char aside[FHA_FETCH_ASIDE_SIZE];
	bool is_held;
	int fd;

	if (!fha_fetch_aside(path, aside))
		return false;
	fd = open(aside, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return false;
	is_held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	(void) close(fd);
	return is_held;
}

/* Is what we have locked still what has that name?  The writer before may have renamed or removed it. */
static bool
fetch_is_still(int fd, const char *path)
{
	struct stat ours;
	struct stat there;

	return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_ino == there.st_ino &&
		   ours.st_dev == there.st_dev;
}

static FhaCode
fetch_create(FetchJob *job, FhaError *err)
{
	FetchOut *out = &job->out;

	for (int tries = 0; tries < 10; tries++)
	{
		out->fd = open(job->aside, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (out->fd < 0)
			return fha_error_errno(err, FHA_IO, "could not create \"%.120s\"", job->aside);
		if (flock(out->fd, LOCK_EX | LOCK_NB) == 0 && fetch_is_still(out->fd, job->aside))
		{
			if (ftruncate(out->fd, 0) == 0)
				return FHA_OK;
			return fha_error_errno(err, FHA_IO, "could not empty \"%.120s\"", job->aside);
		}
		(void) close(out->fd);
		out->fd = -1;
	}
	return fha_error(err, FHA_CONFLICT, "another process is fetching %s", job->file);
}

static void
fetch_out_close(FetchJob *job)
{
	FetchOut *out = &job->out;

	fha_stream_close(out->stream);
	if (out->fd >= 0)
	{
		(void) unlink(job->aside);
		(void) close(out->fd);
	}
	*out = (FetchOut){.fd = -1};
}

/* unseal -> decompress, into the file beside. */
static FhaCode
fetch_out_open(FetchJob *job, const char *key, FhaError *err)
{
	FetchOut *out = &job->out;
	FhaCode code;

	fetch_out_close(job);
	out->max = fetch_size_max(&job->fetch->settings, &job->wal);
	code = fha_unpack_open(&out->stream, &job->name, &job->fetch->keys, key, err);
	if (code == FHA_OK)
		code = fetch_create(job, err);
	return code;
}

static FhaCode
fetch_write_out(FetchJob *job, const char *data, size_t size, FhaError *err)
{
	FetchOut *out = &job->out;

	if (size > out->max - out->size)
		return fha_error(err, FHA_INVALID, "%s has more than %" PRIu64 " bytes", job->file,
						 out->max);
	if (out->size < FHA_WAL_PAGE_SIZE)
	{
		size_t room = FHA_WAL_PAGE_SIZE - (size_t) out->size;

		memcpy(out->first + out->size, data, size < room ? size : room);
	}
	out->size += size;
	while (size > 0)
	{
		ssize_t done = write(out->fd, data, size);

		if (done < 0 && errno == EINTR)
			continue; /* LCOV_EXCL_LINE: a signal in the middle */
		if (done < 0)
			return fha_error_errno(err, errno == ENOSPC || errno == EDQUOT ? FHA_FULL : FHA_IO,
								   "could not write \"%.120s\"", job->aside);
		data += done;
		size -= (size_t) done;
	}
	return FHA_OK;
}

/* What the stream has so far.  OK: it is at its end. */
static FhaCode
fetch_drain(FetchJob *job, FhaError *err)
{
	for (;;)
	{
		const char *data;
		size_t size;
		FhaCode code = fha_stream_look(job->out.stream, &data, &size, err);

		if (code != FHA_OK || size == 0)
			return code;
		code = fetch_write_out(job, data, size, err);
		if (code != FHA_OK)
			return code;
		fha_stream_drop(job->out.stream, size);
	}
}

/* Bytes of the object.  After an error no more are taken, and the next step ends the call. */
static size_t
fetch_take(const char *data, size_t size, void *owner)
{
	FetchJob *job = owner;
	size_t given = 0;
	FhaCode code = job->out.error.code;

	while (code == FHA_OK && given < size)
	{
		size_t taken;

		code =
			fha_stream_write(job->out.stream, data + given, size - given, &taken, &job->out.error);
		if (code == FHA_OK)
			code = fetch_drain(job, &job->out.error);
		if (code == FHA_AGAIN)
			code = FHA_OK;
		if (code == FHA_OK && taken == 0)
			code = fha_error(&job->out.error, FHA_INVALID, "there is more behind %s", job->file);
		given += taken;
	}
	job->out.error.code = code;
	return code == FHA_OK ? size : 0;
}

/* The object is complete: is the file, too? */
static FhaCode
fetch_finish(FetchJob *job, FhaError *err)
{
	FetchOut *out = &job->out;
	FhaCode code = fha_stream_finish(out->stream, err);

	if (code == FHA_OK)
		code = fetch_drain(job, err);
	if (code == FHA_AGAIN)
		code = fha_error(err, FHA_INVALID, "%s ends too early", job->file);
	if (code == FHA_OK)
		code = fetch_check_bytes(&job->fetch->settings, &job->wal, job->file, out->first, out->size,
								 err);
	if (code == FHA_OK && fsync(out->fd) != 0)
		code = fha_error_errno(err, FHA_IO, "could not flush \"%.120s\"", job->aside);
	if (code == FHA_OK && rename(job->aside, job->path) != 0)
		code = fha_error_errno(err, FHA_IO, "could not rename \"%.120s\"", job->aside);
	if (code != FHA_OK)
		return code;
	/* It has its name: only the descriptor is left, and the lock with it. */
	job->answer.size = out->size;
	(void) close(out->fd);
	out->fd = -1;
	return fha_file_sync_parent(job->path, err);
}

/* --- calls */

static void
fetch_end(FetchJob *job, FhaCode code, const FhaError *error)
{
	job->stage = FETCH_ENDED;
	job->answer.code = code;
	if (code != FHA_OK && error != &job->answer.error)
		job->answer.error = *error; /* which may be that of what is closed now */
	job->answer.error.code = code;
	fetch_out_close(job);
}

static void
fetch_ask(FetchJob *job, FetchStage stage, FhaStoreRequest *request)
{
	FhaError *err = &job->answer.error;
	FhaCode code;

	job->stage = stage;
	request->deadline_at_ms = job->deadline_at_ms;
	request->owner = job;
	code = fha_store_start(job->fetch->store, request, &job->call, err);
	if (code != FHA_OK)
		fetch_end(job, code, err);
}

static void
fetch_read(FetchJob *job, FetchStage stage)
{
	char key[FHA_OBJECT_KEY_SIZE];
	FhaStoreRequest request = {.verb = FHA_STORE_GET, .key = key, .take = fetch_take};
	FhaError err;
	FhaCode code;

	job->name.kind = FHA_OBJECT_WAL;
	job->name.wal = job->wal;
	fha_layout_key(job->fetch->server, &job->name, key);
	code = fetch_out_open(job, key, &err);
	if (code != FHA_OK)
		fetch_end(job, code, &err);
	else
		fetch_ask(job, stage, &request);
}

/* What begins with the file's name, or is of the server at all. */
static void
fetch_list(FetchJob *job, FetchStage stage, const char *page)
{
	char key[FHA_OBJECT_KEY_SIZE];
	FhaStoreRequest request = {.verb = FHA_STORE_LIST, .key = key, .page = page};

	if (stage == FETCH_LOOKS)
	{
		FhaObjectName plain = {.kind = FHA_OBJECT_WAL, .wal = job->wal};

		fha_layout_key(job->fetch->server, &plain, key);
	}
	else
	{
		(void) snprintf(key, sizeof(key), "%s/", job->fetch->server);
		request.delimiter = true;
	}
	fetch_ask(job, stage, &request);
}

/* Of several, the one of the best compression to read; a listing tells a file from others whose names begin with its own. */
static void
fetch_look_at(FetchJob *job, const FhaStoreAnswer *answer)
{
	for (size_t i = 0; i < answer->object_count; i++)
	{
		FhaObjectName name = fha_layout_parse(job->fetch->server, answer->objects[i].key);
		char file[FHA_WAL_FILE_SIZE];

		if (name.kind != FHA_OBJECT_WAL)
			continue;
		fha_wal_file_name(&name.wal, file);
		if (strcmp(file, job->file) != 0)
			continue;
		if (name.encrypted && job->fetch->keys.count == 0)
			job->is_sealed = true;
		else if (!job->is_found)
			job->name = name;
		job->is_found |= !(name.encrypted && job->fetch->keys.count == 0);
	}
}

static void
fetch_looked(FetchJob *job, const FhaStoreAnswer *answer)
{
	FhaError err;

	fetch_look_at(job, answer);
	if (answer->next != NULL)
		fetch_list(job, FETCH_LOOKS, answer->next);
	else if (job->is_found)
		fetch_read(job, FETCH_READS);
	else if (job->is_sealed)
		fetch_end(job,
				  fha_error(&err, FHA_DENIED,
							"%s is encrypted, and there is no key: set fawkes_ha.backup_key_file",
							job->file),
				  &err);
	else
		fetch_list(job, FETCH_PROVES, NULL);
}

static void
fetch_proved(FetchJob *job, const FhaStoreAnswer *answer)
{
	FhaError err;

	if (answer->object_count > 0)
		fetch_end(job, fha_error(&err, FHA_NOT_FOUND, "%s is not in the archive", job->file), &err);
	else if (answer->next != NULL)
		fetch_list(job, FETCH_PROVES, answer->next);
	else
		fetch_end(job,
				  fha_error(&err, FHA_IO,
							"the store has nothing of the server \"%.60s\": is it the right store, "
							"is its directory mounted, is the name right?",
							job->fetch->server),
				  &err);
}

static void
fetch_have_read(FetchJob *job)
{
	FhaCode code = fetch_finish(job, &job->answer.error);

	if (code == FHA_OK)
		job->fetch->guess = job->name;
	fetch_end(job, code, &job->answer.error);
}

static void
fetch_answered(FetchJob *job, const FhaStoreAnswer *answer)
{
	FhaError err;

	job->call = NULL;
	if (answer->code == FHA_NOT_FOUND && job->stage == FETCH_GUESSES)
	{
		fetch_out_close(job);
		fetch_list(job, FETCH_LOOKS, NULL);
	}
	else if (job->out.error.code != FHA_OK)
		fetch_end(job, job->out.error.code, &job->out.error);
	else if (answer->code == FHA_OK && job->stage == FETCH_LOOKS)
		fetch_looked(job, answer);
	else if (answer->code == FHA_OK && job->stage == FETCH_PROVES)
		fetch_proved(job, answer);
	else if (answer->code == FHA_OK)
		fetch_have_read(job);
	else if (answer->code == FHA_NOT_FOUND || answer->code == FHA_CONFLICT)
		/* It was listed, or there was some of it: this proves nothing about the next moment. */
		fetch_end(job, fha_error(&err, FHA_IO, "%s changed while it was read", job->file), &err);
	else
		fetch_end(job, answer->code, &answer->error);
}

/* --- the interface */

FhaCode
fha_fetch_open(FhaFetch **out, FhaStore *store, const FhaFetchSettings *settings, FhaError *err)
{
	FhaFetch *fetch;

	*out = NULL;
	if (!fha_server_name_is_valid(settings->server))
		return fha_error(err, FHA_INVALID, "\"%.60s\" cannot be a server's name in a store",
						 settings->server);
	fetch = calloc(1, sizeof(*fetch));
	if (fetch == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	fetch->store = store;
	fetch->settings = *settings;
	(void) snprintf(fetch->server, sizeof(fetch->server), "%s", settings->server);
	fetch->settings.server = fetch->server;
	fetch->settings.keys = NULL;
	if (settings->keys != NULL)
		fetch->keys = *settings->keys;
	fetch->guess.compression = FHA_COMPRESSION_GZIP;
	fetch->guess.encrypted = fetch->keys.count > 0;
	for (size_t i = 0; i < FHA_FETCH_MAX; i++)
		fetch->jobs[i].out.fd = -1;
	*out = fetch;
	return FHA_OK;
}

void
fha_fetch_close(FhaFetch *fetch)
{
	if (fetch == NULL)
		return;
	for (size_t i = 0; i < FHA_FETCH_MAX; i++)
	{
		if (fetch->jobs[i].call != NULL)
			fha_store_cancel(fetch->store, fetch->jobs[i].call);
		fetch_out_close(&fetch->jobs[i]);
	}
	fha_seal_keys_forget(&fetch->keys);
	free(fetch);
}

FhaCode
fha_fetch_start(FhaFetch *fetch, const FhaFetchFile *file, FhaError *err)
{
	FetchJob *job = fetch->jobs;
	FhaWalFile wal;

	while (job < fetch->jobs + FHA_FETCH_MAX && job->stage != FETCH_FREE)
		job++;
	if (job == fetch->jobs + FHA_FETCH_MAX)
		return fha_error(err, FHA_CONFLICT, "%d files are being fetched", FHA_FETCH_MAX);
	if (!fha_wal_file_parse(file->file, &wal))
		return fha_error(err, FHA_INVALID, "\"%.60s\" is no file of WAL", file->file);
	if (strlen(file->path) >= sizeof(job->path))
		return fha_error(err, FHA_INVALID, "the path of %s is too long", file->file);
	*job = (FetchJob){.fetch = fetch,
					  .wal = wal,
					  .deadline_at_ms = file->deadline_at_ms,
					  .owner = file->owner,
					  .name = fetch->guess,
					  .out.fd = -1,
					  .answer.owner = file->owner};
	fha_wal_file_name(&wal, job->file);
	(void) snprintf(job->answer.file, sizeof(job->answer.file), "%s", job->file);
	(void) snprintf(job->path, sizeof(job->path), "%s", file->path);
	(void) fha_fetch_aside(job->path, job->aside);
	fetch_read(job, FETCH_GUESSES);
	return FHA_OK;
}

FhaCode
fha_fetch_step(FhaFetch *fetch, FhaFetchAnswer *answer)
{
	FhaStoreAnswer told;

	while (fha_store_step(fetch->store, &told) == FHA_OK)
		fetch_answered(told.owner, &told);
	for (FetchJob *job = fetch->jobs; job < fetch->jobs + FHA_FETCH_MAX; job++)
	{
		if (job->call != NULL && job->out.error.code != FHA_OK)
		{
			fha_store_cancel(fetch->store, job->call);
			job->call = NULL;
			fetch_end(job, job->out.error.code, &job->out.error);
		}
		if (job->stage != FETCH_ENDED)
			continue;
		*answer = job->answer;
		job->stage = FETCH_FREE;
		return FHA_OK;
	}
	return FHA_AGAIN;
}

size_t
fha_fetch_count(const FhaFetch *fetch)
{
	size_t count = 0;

	for (size_t i = 0; i < FHA_FETCH_MAX; i++)
		count += fetch->jobs[i].stage != FETCH_FREE;
	return count;
}

int
fha_fetch_fd(const FhaFetch *fetch)
{
	return fha_store_fd(fetch->store);
}

int64_t
fha_fetch_wake_at_ms(const FhaFetch *fetch)
{
	for (size_t i = 0; i < FHA_FETCH_MAX; i++)
		if (fetch->jobs[i].stage == FETCH_ENDED)
			return 0;
	return fha_store_wake_at_ms(fetch->store);
}

void
fha_fetch_suffix(const FhaFetch *fetch, char out[FHA_FETCH_SUFFIX_SIZE])
{
	(void) snprintf(out, FHA_FETCH_SUFFIX_SIZE, "%s%s",
					fha_compression_suffix(fetch->guess.compression),
					fetch->guess.encrypted ? FHA_ENCRYPTED_SUFFIX : "");
}

void
fha_fetch_guess(FhaFetch *fetch, const char *suffix)
{
	FhaObjectName before = fetch->guess;
	char each[FHA_FETCH_SUFFIX_SIZE];

	for (int i = FHA_COMPRESSION_NONE; i <= FHA_COMPRESSION_LZ4; i++)
		for (int sealed = 0; sealed <= (fetch->keys.count > 0 ? 1 : 0); sealed++)
		{
			fetch->guess.compression = (FhaCompression) i;
			fetch->guess.encrypted = sealed == 1;
			fha_fetch_suffix(fetch, each);
			if (strcmp(each, suffix) == 0)
				return;
		}
	fetch->guess = before;
}
