/*
 * uploads.c: multipart uploads as folders.  See store/dir/uploads.h.
 */
#include "store/dir/uploads.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define UPLOAD_LEFT_OVER_S 3600
#define UPLOAD_HEAD_SIZE (FHA_STORE_KEY_SIZE + 24) /* part size, a line's end, key */
#define UPLOAD_PART_NAME_SIZE (FHA_STORE_TAG_SIZE + 32)

typedef struct Upload
{
	int root_fd, hidden_fd, fd;
	uint64_t part_size;
	int64_t begun_s;
	char key[FHA_STORE_KEY_SIZE];
} Upload;

/* --- an upload's folder */

static bool
upload_name_valid(const char *name)
{
	return strlen(name) == FHA_ID_SIZE - 1 && strspn(name, "0123456789abcdef") == FHA_ID_SIZE - 1;
}

static FhaCode
upload_gone(FhaError *err)
{
	return fha_error(err, FHA_NOT_FOUND, "there is no such upload");
}

static void
upload_close(Upload *upload)
{
	if (upload->fd >= 0)
		(void) close(upload->fd);
	if (upload->hidden_fd >= 0)
		(void) close(upload->hidden_fd);
	if (upload->root_fd >= 0)
		(void) close(upload->root_fd);
}

/* Root and hidden folder; upload_close() in any case. */
static FhaCode
upload_open_hidden(Upload *upload, const FhaStoreRoot *root, FhaError *err)
{
	FhaCode code;

	*upload = (Upload){.root_fd = -1, .hidden_fd = -1, .fd = -1};
	code = fha_store_dir_open_root(root, &upload->root_fd, err);
	return code == FHA_OK ? fha_store_dir_open_hidden(upload->root_fd, &upload->hidden_fd, err)
						  : code;
}

/* NOT_FOUND: there is none, or one that is not begun yet. */
static FhaCode
upload_read_head(Upload *upload, FhaError *err)
{
	char head[UPLOAD_HEAD_SIZE];
	struct stat status;
	char *end;
	size_t got = 0;
	FhaCode code = FHA_OK;
	int fd = openat(upload->fd, "key", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT
				   ? upload_gone(err)
				   : fha_error_errno(err, fha_store_dir_code(), "could not open a file");
	if (fstat(fd, &status) != 0)
		code = fha_error_errno(err, FHA_IO, "could not examine a file");
	else
		code = fha_store_dir_read(fd, 0, head, sizeof(head) - 1, &got, err);
	(void) close(fd);
	if (code != FHA_OK)
		return code;
	head[got] = '\0';
	upload->begun_s = status.st_mtim.tv_sec;
	upload->part_size = strtoull(head, &end, 10);
	if (*end != '\n' || strlen(end + 1) == 0 || strlen(end + 1) >= sizeof(upload->key))
		return upload_gone(err);
	(void) snprintf(upload->key, sizeof(upload->key), "%s", end + 1);
	return FHA_OK;
}

/* The upload that a request names; upload_close() in any case. */
static FhaCode
upload_open(Upload *upload, const FhaStoreRoot *root, const FhaStoreRequest *request, FhaError *err)
{
	FhaCode code = upload_open_hidden(upload, root, err);

	if (code != FHA_OK)
		return code;
	if (!upload_name_valid(request->upload))
		return upload_gone(err);
	code = fha_store_dir_open_folder(upload->hidden_fd, request->upload, &upload->fd, err);
	if (code == FHA_OK)
		code = upload_read_head(upload, err);
	if (code == FHA_NOT_FOUND || (code == FHA_OK && strcmp(upload->key, request->key) != 0))
		return upload_gone(err);
	return code;
}

static FhaCode
upload_make_file(const Upload *upload, const char *name, int *fd, FhaError *err)
{
	*fd = openat(upload->fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (*fd < 0)
		return fha_error_errno(err, fha_store_dir_code(), "could not create a file");
	if (fha_store_dir_own(upload->root_fd, *fd))
		return FHA_OK;
	(void) close(*fd);
	return fha_error_errno(err, FHA_IO, "could not give a file away");
}

static FhaCode
upload_flush(int fd, FhaError *err)
{
	return fsync(fd) == 0 ? FHA_OK
						  : fha_error_errno(err, fha_store_dir_code(), "could not flush a file");
}

/* The same once what was asked can be seen by others. */
static FhaCode
upload_flush_done(int fd, FhaError *err)
{
	return fha_store_dir_flush_folder(fd)
			   ? FHA_OK
			   : fha_error_errno(err, FHA_UNKNOWN, "could not flush a folder");
}

/* --- begin */

static bool
upload_fetch_head(void *owner, uint64_t at, char *out, size_t size)
{
	memcpy(out, (const char *) owner + at, size);
	return true;
}

/* "key", whose whole appearance begins the upload. */
static FhaCode
upload_write_head(const Upload *upload, const FhaStoreRequest *request, FhaError *err)
{
	char head[UPLOAD_HEAD_SIZE];
	FhaStoreSource source = {.fetch = upload_fetch_head, .owner = head};
	int fd;
	FhaCode code = upload_make_file(upload, "key.new", &fd, err);

	if (code != FHA_OK)
		return code;
	source.size = (uint64_t) snprintf(head, sizeof(head), "%" PRIu64 "\n%s", request->part_size,
									  request->key);
	code = fha_store_dir_write(fd, 0, &source, err);
	if (code == FHA_OK)
		code = upload_flush(fd, err);
	(void) close(fd);
	if (code == FHA_OK && renameat(upload->fd, "key.new", upload->fd, "key") != 0)
		code = fha_error_errno(err, fha_store_dir_code(), "could not rename a file");
	return code;
}

static FhaCode
upload_fill(Upload *upload, const char *name, const FhaStoreRequest *request, FhaError *err)
{
	int data_fd;
	FhaCode code = fha_store_dir_open_folder(upload->hidden_fd, name, &upload->fd, err);

	if (code != FHA_OK)
		return code;
	if (!fha_store_dir_own(upload->root_fd, upload->fd))
		return fha_error_errno(err, FHA_IO, "could not give a folder away");
	code = upload_make_file(upload, "data", &data_fd, err);
	if (code != FHA_OK)
		return code;
	(void) close(data_fd);
	code = upload_write_head(upload, request, err);
	if (code == FHA_OK)
		code = upload_flush_done(upload->fd, err);
	if (code == FHA_OK)
		code = upload_flush_done(upload->hidden_fd, err);
	return code == FHA_OK ? upload_flush_done(upload->root_fd, err) : code;
}

FhaCode
fha_store_dir_begin(FhaStoreRoot *root, const FhaStoreRequest *request, FhaStoreResult *result,
					FhaError *err)
{
	Upload upload;
	char name[FHA_ID_SIZE];
	FhaCode code = upload_open_hidden(&upload, root, err);

	if (code == FHA_OK)
		code = fha_random_hex(name, sizeof(name), err);
	if (code == FHA_OK && mkdirat(upload.hidden_fd, name, 0700) != 0)
		code = fha_error_errno(err, fha_store_dir_code(), "could not make a folder");
	if (code == FHA_OK)
		code = upload_fill(&upload, name, request, err);
	if (code == FHA_OK)
		code = fha_store_set_text(&result->upload, name, FHA_STORE_UPLOAD_SIZE, err);
	upload_close(&upload);
	return code;
}

/* --- names in an upload's folder */

typedef FhaCode (*UploadSee)(const Upload *upload, const char *name, void *owner, FhaError *err);

/* Each name in a folder, until one gives another code than OK. */
static FhaCode
upload_walk(const Upload *upload, int fd, UploadSee see, void *owner, FhaError *err)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = again < 0 ? NULL : fdopendir(again);
	const struct dirent *entry;
	FhaCode code = FHA_OK;

	if (folder == NULL)
	{
		if (again >= 0)
			(void) close(again);
		return fha_error_errno(err, fha_store_dir_code(), "could not read a folder");
	}
	while (code == FHA_OK && (errno = 0, entry = readdir(folder)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			code = see(upload, entry->d_name, owner, err);
	if (code == FHA_OK && errno != 0)
		code = fha_error_errno(err, FHA_IO, "could not read a folder");
	(void) closedir(folder);
	return code;
}

/* "NNNNN.SIZE.TAG" */
static bool
upload_parse_part(const char *name, FhaStorePart *part)
{
	char printed[UPLOAD_PART_NAME_SIZE];
	char *end;

	part->number = (unsigned) strtoul(name, &end, 10);
	if (end != name + 5 || *end != '.')
		return false;
	part->size = strtoull(end + 1, &end, 10);
	if (*end != '.' || !upload_name_valid(end + 1))
		return false;
	memcpy(part->tag, end + 1, FHA_ID_SIZE);
	(void) snprintf(printed, sizeof(printed), "%05u.%" PRIu64 ".%s", part->number, part->size,
					part->tag);
	return strcmp(printed, name) == 0 && part->number > 0 && part->number <= FHA_STORE_PARTS_MAX;
}

/* --- part */

/* A lock that goes with the descriptor, whichever thread has it.  AGAIN: another one writes there. */
static FhaCode
upload_lock(int fd, uint64_t from, uint64_t size, FhaError *err)
{
	struct flock range = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t) from, .l_len = (off_t) size};

	if (fcntl(fd, F_OFD_SETLK, &range) == 0)
		return FHA_OK;
	if (errno == EAGAIN || errno == EACCES)
		return fha_error(err, FHA_AGAIN, "an earlier write of this part has not ended yet");
	return fha_error_errno(err, FHA_IO, "could not lock a file");
}

/* What it has become an object under another name, nothing may be written to. */
static FhaCode
upload_open_data(const Upload *upload, int *fd, FhaError *err)
{
	struct stat status;
	FhaCode code = FHA_OK;

	*fd = openat(upload->fd, "data", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (*fd < 0)
		return errno == ENOENT
				   ? upload_gone(err)
				   : fha_error_errno(err, fha_store_dir_code(), "could not open a file");
	if (fstat(*fd, &status) != 0)
		code = fha_error_errno(err, FHA_IO, "could not examine a file");
	else if (status.st_nlink != 1)
		code = upload_gone(err);
	if (code != FHA_OK)
		(void) close(*fd);
	return code;
}

static FhaCode
upload_forget_part(const Upload *upload, const char *name, void *owner, FhaError *err)
{
	unsigned *number = owner;
	FhaStorePart part;

	if (!upload_parse_part(name, &part) || part.number != *number)
		return FHA_OK;
	if (unlinkat(upload->fd, name, 0) != 0)
		return fha_error_errno(err, fha_store_dir_code(), "could not remove a file");
	*number = 0;
	return FHA_OK;
}

/* What there is of this part is not any more, durably. */
static FhaCode
upload_forget(const Upload *upload, unsigned number, FhaError *err)
{
	unsigned wanted = number;
	FhaCode code = upload_walk(upload, upload->fd, upload_forget_part, &wanted, err);

	return code == FHA_OK && wanted == 0 ? upload_flush_done(upload->fd, err) : code;
}

static FhaCode
upload_note_part(const Upload *upload, const FhaStoreRequest *request, FhaStoreResult *result,
				 FhaError *err)
{
	char name[UPLOAD_PART_NAME_SIZE];
	int fd;
	FhaCode code = fha_random_hex(result->tag, FHA_ID_SIZE, err);

	if (code != FHA_OK)
		return code;
	(void) snprintf(name, sizeof(name), "%05u.%zu.%s", request->number, request->size, result->tag);
	code = upload_make_file(upload, name, &fd, err);
	if (code != FHA_OK)
		return code;
	(void) close(fd);
	return upload_flush_done(upload->fd, err);
}

static FhaCode
upload_write_part(const Upload *upload, const FhaStoreRequest *request,
				  const FhaStoreSource *source, FhaStoreResult *result, FhaError *err)
{
	uint64_t from = (request->number - 1) * upload->part_size;
	int fd;
	FhaCode code = upload_open_data(upload, &fd, err);

	if (code != FHA_OK)
		return code;
	code = upload_lock(fd, from, upload->part_size, err);
	if (code == FHA_OK)
		code = upload_forget(upload, request->number, err);
	if (code == FHA_OK)
		code = fha_store_dir_write(fd, from, source, err);
	if (code == FHA_OK)
		code = upload_flush(fd, err);
	if (code == FHA_OK && !source->fetch(source->owner, 0, NULL, 0))
		code = fha_error(err, FHA_TIMEOUT, "the write was given up");
	if (code == FHA_OK)
		code = upload_note_part(upload, request, result, err);
	(void) close(fd);
	return code;
}

FhaCode
fha_store_dir_part(const FhaStoreRoot *root, const FhaStoreRequest *request,
				   const FhaStoreSource *source, FhaStoreResult *result, FhaError *err)
{
	Upload upload;
	FhaCode code = upload_open(&upload, root, request, err);

	if (code == FHA_OK && upload.part_size != request->part_size)
		code = fha_error(err, FHA_INVALID, "the upload was begun with parts of %" PRIu64 " bytes",
						 upload.part_size);
	if (code == FHA_OK)
		code = upload_write_part(&upload, request, source, result, err);
	upload_close(&upload);
	return code;
}

/* --- parts and complete */

typedef struct UploadParts
{
	FhaStorePart *rows;
	size_t count, room;
} UploadParts;

static FhaCode
upload_collect_part(const Upload *upload, const char *name, void *owner, FhaError *err)
{
	UploadParts *parts = owner;
	FhaStorePart part;

	(void) upload;
	if (!upload_parse_part(name, &part))
		return FHA_OK;
	if (parts->count == parts->room)
	{
		size_t room = parts->room == 0 ? 64 : parts->room * 2;
		FhaStorePart *rows =
			room > 2 * FHA_STORE_PARTS_MAX ? NULL : realloc(parts->rows, room * sizeof(*rows));

		if (rows == NULL)
			return fha_error(err, FHA_NO_MEMORY, "out of memory");
		parts->rows = rows;
		parts->room = room;
	}
	parts->rows[parts->count++] = part;
	return FHA_OK;
}

static int
upload_compare_parts(const void *a, const void *b)
{
	const FhaStorePart *one = a;
	const FhaStorePart *other = b;

	return one->number < other->number ? -1 : one->number > other->number;
}

/* In order; free the rows in any case. */
static FhaCode
upload_collect(const Upload *upload, UploadParts *parts, FhaError *err)
{
	FhaCode code = upload_walk(upload, upload->fd, upload_collect_part, parts, err);

	if (code == FHA_OK && parts->count > 0)
		qsort(parts->rows, parts->count, sizeof(*parts->rows), upload_compare_parts);
	return code;
}

FhaCode
fha_store_dir_parts(const FhaStoreRoot *root, const FhaStoreRequest *request,
					FhaStoreResult *result, FhaError *err)
{
	unsigned long behind = request->page == NULL ? 0 : strtoul(request->page, NULL, 10);
	UploadParts parts = {0};
	Upload upload;
	char next[16];
	FhaCode code = upload_open(&upload, root, request, err);

	if (code == FHA_OK)
		code = upload_collect(&upload, &parts, err);
	for (size_t i = 0; code == FHA_OK && i < parts.count; i++)
	{
		const FhaStorePart *part = &parts.rows[i];

		if (part->number <= behind)
			continue;
		if (result->part_count == FHA_STORE_LIST_MAX)
		{
			(void) snprintf(next, sizeof(next), "%u", result->parts[FHA_STORE_LIST_MAX - 1].number);
			code = fha_store_set_text(&result->next, next, sizeof(next), err);
			break;
		}
		code = fha_store_add_part(result, part->number, part->size, part->tag, err);
	}
	free(parts.rows);
	upload_close(&upload);
	return code;
}

static bool
upload_has_part(const UploadParts *parts, const FhaStorePart *wanted)
{
	const FhaStorePart *found = parts->count == 0
									? NULL
									: bsearch(wanted, parts->rows, parts->count,
											  sizeof(*parts->rows), upload_compare_parts);

	return found != NULL && found->size == wanted->size && strcmp(found->tag, wanted->tag) == 0;
}

/* Are these the parts that it has, and do they fill it without a gap?  *size: of the object. */
static FhaCode
upload_check_parts(const Upload *upload, const FhaStoreRequest *request, uint64_t *size,
				   FhaError *err)
{
	UploadParts parts = {0};
	FhaCode code = upload_collect(upload, &parts, err);

	*size = 0;
	for (size_t i = 0; code == FHA_OK && i < request->part_count; i++)
	{
		const FhaStorePart *wanted = &request->parts[i];
		bool is_last = i == request->part_count - 1;

		if (!upload_has_part(&parts, wanted))
			code =
				fha_error(err, FHA_INVALID, "the upload has no part %u like this", wanted->number);
		else if (!is_last && wanted->size != upload->part_size)
			code = fha_error(err, FHA_INVALID, "part %u is smaller than the upload's parts",
							 wanted->number);
		*size += wanted->size;
	}
	free(parts.rows);
	return code;
}

static FhaCode
upload_remove_name(const Upload *upload, const char *name, void *owner, FhaError *err)
{
	(void) owner;
	if (unlinkat(upload->fd, name, 0) != 0 && errno != ENOENT)
		return fha_error_errno(err, fha_store_dir_code(), "could not remove a file");
	return FHA_OK;
}

/* The key goes first: from then on there is no such upload. */
static FhaCode
upload_remove(const Upload *upload, const char *name, FhaError *err)
{
	FhaCode code = upload_remove_name(upload, "key", NULL, err);

	if (code == FHA_OK)
		code = upload_flush_done(upload->fd, err);
	if (code == FHA_OK)
		code = upload_walk(upload, upload->fd, upload_remove_name, NULL, err);
	if (code == FHA_OK && unlinkat(upload->hidden_fd, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
		code = fha_error_errno(err, fha_store_dir_code(), "could not remove a folder");
	return code == FHA_OK ? upload_flush_done(upload->hidden_fd, err) : code;
}

static FhaCode
upload_publish(const Upload *upload, FhaStoreRoot *root, const FhaStoreRequest *request, int fd,
			   FhaError *err)
{
	uint64_t size;
	FhaCode code = upload_lock(fd, 0, 0, err);

	if (code == FHA_OK)
		code = upload_check_parts(upload, request, &size, err);
	if (code == FHA_OK && ftruncate(fd, (off_t) size) != 0)
		code = fha_error_errno(err, fha_store_dir_code(), "could not cut a file");
	if (code == FHA_OK)
		code = upload_flush(fd, err);
	return code == FHA_OK ? fha_store_dir_publish(root, upload->root_fd, upload->fd, "data", fd,
												  request->key, request->if_absent, err)
						  : code;
}

/* An earlier try that could not flush has made it the object already. */
static FhaCode
upload_open_complete(const Upload *upload, int *fd, FhaError *err)
{
	*fd = openat(upload->fd, "data", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (*fd >= 0)
		return FHA_OK;
	return errno == ENOENT ? upload_gone(err)
						   : fha_error_errno(err, fha_store_dir_code(), "could not open a file");
}

FhaCode
fha_store_dir_complete(FhaStoreRoot *root, const FhaStoreRequest *request, FhaError *err)
{
	Upload upload;
	int fd = -1;
	FhaCode code = upload_open(&upload, root, request, err);

	if (code == FHA_OK)
		code = upload_open_complete(&upload, &fd, err);
	if (code == FHA_OK)
		code = upload_publish(&upload, root, request, fd, err);
	/* The object is there; what is left of the upload is found by a later sweep. */
	if (code == FHA_OK)
		(void) upload_remove(&upload, request->upload, NULL);
	if (fd >= 0)
		(void) close(fd);
	upload_close(&upload);
	return code;
}

FhaCode
fha_store_dir_abort(const FhaStoreRoot *root, const FhaStoreRequest *request, FhaError *err)
{
	Upload upload;
	FhaCode code = upload_open(&upload, root, request, err);

	if (code == FHA_OK)
		code = upload_remove(&upload, request->upload, err);
	upload_close(&upload);
	return code == FHA_NOT_FOUND ? FHA_OK : code;
}

/* --- uploads */

typedef struct UploadListing
{
	const FhaStoreRequest *request;
	FhaStoreResult *result;
	char (*names)[FHA_ID_SIZE];
	size_t count, room;
} UploadListing;

static FhaCode
upload_collect_name(const Upload *hidden, const char *name, void *owner, FhaError *err)
{
	UploadListing *listing = owner;

	(void) hidden;
	if (!upload_name_valid(name) ||
		(listing->request->page != NULL && strcmp(name, listing->request->page) <= 0))
		return FHA_OK;
	if (listing->count == listing->room)
	{
		size_t room = listing->room == 0 ? 64 : listing->room * 2;
		void *names = realloc(listing->names, room * FHA_ID_SIZE);

		if (names == NULL)
			return fha_error(err, FHA_NO_MEMORY, "out of memory");
		listing->names = names;
		listing->room = room;
	}
	memcpy(listing->names[listing->count++], name, FHA_ID_SIZE);
	return FHA_OK;
}

static int
upload_compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static FhaCode
upload_tell(const Upload *hidden, UploadListing *listing, char *name, FhaError *err)
{
	static const FhaStoreSettings plain = {.kind = FHA_STORE_DIR};
	Upload upload = *hidden;
	FhaStoreObject object = {.upload = name};
	FhaCode code = fha_store_dir_open_folder(hidden->hidden_fd, name, &upload.fd, err);

	if (code == FHA_OK)
		code = upload_read_head(&upload, err);
	if (code == FHA_OK &&
		strncmp(upload.key, listing->request->key, strlen(listing->request->key)) == 0)
	{
		object.modified_s = upload.begun_s;
		code = fha_store_add_object(listing->result, &plain, upload.key, strlen(upload.key),
									&object, err);
	}
	if (upload.fd >= 0)
		(void) close(upload.fd);
	return code == FHA_NOT_FOUND ? FHA_OK : code;
}

FhaCode
fha_store_dir_uploads(const FhaStoreRoot *root, const FhaStoreRequest *request,
					  FhaStoreResult *result, FhaError *err)
{
	UploadListing listing = {.request = request, .result = result};
	Upload hidden;
	FhaCode code = upload_open_hidden(&hidden, root, err);

	if (code == FHA_OK)
		code = upload_walk(&hidden, hidden.hidden_fd, upload_collect_name, &listing, err);
	if (code == FHA_OK && listing.count > 0)
		qsort(listing.names, listing.count, FHA_ID_SIZE, upload_compare_names);
	for (size_t i = 0; code == FHA_OK && i < listing.count; i++)
	{
		code = upload_tell(&hidden, &listing, listing.names[i], err);
		if (code == FHA_OK && result->object_count == FHA_STORE_LIST_MAX && i + 1 < listing.count)
		{
			code = fha_store_set_text(&result->next, listing.names[i], FHA_ID_SIZE, err);
			break;
		}
	}
	free(listing.names);
	upload_close(&hidden);
	return code;
}

/* --- what the dead left */

/* analyzer: names that are no one's are left alone */
static FhaCode
upload_sweep_one(const Upload *hidden, const char *name, void *owner, FhaError *err)
{
	const time_t *before = owner;
	Upload upload = *hidden;
	struct stat status;

	(void) err;
	if (fstatat(hidden->hidden_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
		status.st_mtim.tv_sec >= *before)
		return FHA_OK;
	if (S_ISREG(status.st_mode) && strncmp(name, "put.", 4) == 0)
		(void) unlinkat(hidden->hidden_fd, name, 0);
	if (!S_ISDIR(status.st_mode) || !upload_name_valid(name) ||
		fha_store_dir_open_folder(hidden->hidden_fd, name, &upload.fd, NULL) != FHA_OK)
		return FHA_OK;
	if (upload_read_head(&upload, NULL) == FHA_NOT_FOUND)
		(void) upload_remove(&upload, name, NULL);
	(void) close(upload.fd);
	return FHA_OK;
}

void
fha_store_dir_sweep(const FhaStoreRoot *root)
{
	time_t before = (time_t) (fha_wall_ms() / 1000) - UPLOAD_LEFT_OVER_S;
	Upload hidden;

	if (upload_open_hidden(&hidden, root, NULL) == FHA_OK)
		(void) upload_walk(&hidden, hidden.hidden_fd, upload_sweep_one, &before, NULL);
	upload_close(&hidden);
}
