/*
 * files.c: objects as files: written aside, flushed and published; read, examined and deleted.
 */
#include "store/dir/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

/* A folder may be removed, because its last object was deleted, while another object is put into it. */
#define DIRSTORE_TRIES 20

FhaCode
fha_store_dir_code(void)
{
	switch (errno)
	{
		case ENOSPC:
		case EDQUOT:
		case EFBIG:
			return FHA_FULL;
		case EACCES:
		case EPERM:
		case EROFS:
			return FHA_DENIED;
		case ENAMETOOLONG:
		case ELOOP:
			return FHA_INVALID;
		case ENOMEM:
			return FHA_NO_MEMORY;
		default:
			return FHA_IO;
	}
}

/* --- keys and folders */

static bool
dirstore_part_valid(const char *part, size_t length)
{
	return length > 0 && length <= 255 && !(length == 1 && part[0] == '.') &&
		   !(length == 2 && part[0] == '.' && part[1] == '.');
}

static bool
dirstore_is_reserved(const char *key, size_t length)
{
	static const char *const names[] = {FHA_STORE_HIDDEN, "lost+found"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == length && memcmp(names[i], key, length) == 0)
			return true;
	return false;
}

FhaCode
fha_store_dir_key_check(const char *key, FhaError *err)
{
	size_t depth = 0;

	if (dirstore_is_reserved(key, strcspn(key, "/")))
		return fha_error(err, FHA_INVALID, "\"%.100s\" is in a folder that is not for objects",
						 key);
	for (const char *part = key;; part++)
	{
		size_t length = strcspn(part, "/");

		if (!dirstore_part_valid(part, length))
			return fha_error(err, FHA_INVALID,
							 "\"%.100s\" is no name that a file in a directory can have", key);
		part += length;
		if (*part == '\0')
			return FHA_OK;
		if (++depth > FHA_STORE_DEPTH_MAX)
			return fha_error(err, FHA_INVALID, "\"%.60s...\" lies in more than %d folders", key,
							 FHA_STORE_DEPTH_MAX);
	}
}

static FhaCode
dirstore_check_closed(const FhaStoreRoot *root, int fd, FhaError *err)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return fha_error_errno(err, FHA_IO, "could not examine \"%.120s\"", root->path);
	if ((status.st_mode & S_IWOTH) != 0)
		return fha_error(err, FHA_INVALID,
						 "every user of this machine may write \"%.80s\" (mode %04o): chmod 700 it",
						 root->path, (unsigned) status.st_mode & 07777);
	return FHA_OK;
}

FhaCode
fha_store_dir_open_root(const FhaStoreRoot *root, int *fd, FhaError *err)
{
	FhaCode code;

	*fd = open(root->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0 && errno == ENOENT)
		return fha_error(err, FHA_IO, "the directory \"%.100s\" is not there: mount it, or make it",
						 root->path);
	if (*fd < 0)
		return fha_error_errno(err, fha_store_dir_code(), "could not open \"%.120s\"", root->path);
	code = dirstore_check_closed(root, *fd, err);
	if (code != FHA_OK)
	{
		(void) close(*fd);
		*fd = -1;
	}
	return code;
}

bool
fha_store_dir_own(int root_fd, int fd)
{
	struct stat status;

	return geteuid() != 0 ||
		   (fstat(root_fd, &status) == 0 && fchown(fd, status.st_uid, status.st_gid) == 0);
}

FhaCode
fha_store_dir_open_folder(int parent_fd, const char *name, int *fd, FhaError *err)
{
	FhaCode code;

	*fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*fd >= 0)
		return FHA_OK;
	code = errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? FHA_NOT_FOUND
																 : fha_store_dir_code();
	return fha_error_errno(err, code, "could not open the folder \"%.120s\"", name);
}

/* The folder `name` of a parent; *made: it was not there. */
static FhaCode
dirstore_make_folder(int root_fd, int parent_fd, const char *name, int *fd, bool *made,
					 FhaError *err)
{
	FhaCode code;

	*fd = -1;
	*made = mkdirat(parent_fd, name, 0700) == 0;
	if (!*made && errno != EEXIST)
		return fha_error_errno(err, errno == ENOENT ? FHA_NOT_FOUND : fha_store_dir_code(),
							   "could not make the folder \"%.120s\"", name);
	code = fha_store_dir_open_folder(parent_fd, name, fd, err);
	if (code == FHA_OK && *made && !fha_store_dir_own(root_fd, *fd))
	{
		code = fha_error_errno(err, FHA_IO, "could not give away \"%.120s\"", name);
		(void) close(*fd);
		*fd = -1;
	}
	return code;
}

FhaCode
fha_store_dir_open_hidden(int root_fd, int *fd, FhaError *err)
{
	bool made;

	return dirstore_make_folder(root_fd, root_fd, FHA_STORE_HIDDEN, fd, &made, err);
}

bool
fha_store_dir_flush_folder(int fd)
{
	return fsync(fd) == 0 || errno == EINVAL || errno == EBADF;
}

/* --- folders that are known to be flushed */

/* False: the filesystem does not tell one from another that comes later. */
static bool
dirstore_identify(int fd, FhaStoreFolder *out)
{
	struct statx status;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &status) != 0 ||
		(status.stx_mask & STATX_BTIME) == 0)
		return false; /* LCOV_EXCL_LINE: wants such a filesystem */
	*out =
		(FhaStoreFolder){.device = ((uint64_t) status.stx_dev_major << 32) | status.stx_dev_minor,
						 .inode = status.stx_ino,
						 .born_s = status.stx_btime.tv_sec,
						 .born_ns = status.stx_btime.tv_nsec};
	return true;
}

static bool
dirstore_is_known(FhaStoreRoot *root, const FhaStoreFolder *folder)
{
	bool found = false;

	(void) pthread_mutex_lock(&root->lock);
	for (unsigned i = 0; i < FHA_STORE_KNOWN_MAX; i++)
		found =
			found ||
			(root->known[i].inode == folder->inode && root->known[i].device == folder->device &&
			 root->known[i].born_s == folder->born_s && root->known[i].born_ns == folder->born_ns);
	(void) pthread_mutex_unlock(&root->lock);
	return found;
}

static void
dirstore_learn(FhaStoreRoot *root, const FhaStoreFolder *folder)
{
	(void) pthread_mutex_lock(&root->lock);
	root->known[root->known_next++ % FHA_STORE_KNOWN_MAX] = *folder;
	(void) pthread_mutex_unlock(&root->lock);
}

/* The name of a folder in its parent is on disk; another process may have made it and not flushed it yet. */
static FhaCode
dirstore_flush_name(FhaStoreRoot *root, int parent_fd, int fd, bool made, FhaError *err)
{
	FhaStoreFolder folder;
	bool identified = dirstore_identify(fd, &folder);

	if (identified && !made && dirstore_is_known(root, &folder))
		return FHA_OK;
	if (!fha_store_dir_flush_folder(parent_fd))
		return fha_error_errno(err, fha_store_dir_code(), "could not flush a folder");
	if (identified)
		dirstore_learn(root, &folder);
	return FHA_OK;
}

/*
 * The folder that an object of this key lies in; *leaf: the rest of the key.  make: it is made, and its name is flushed.
 * NOT_FOUND: it is not there.
 */
static FhaCode
dirstore_open_parent(FhaStoreRoot *root, int root_fd, const char *key, int *out, const char **leaf,
					 FhaError *err)
{
	int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FhaCode code = FHA_OK;

	*out = -1;
	*leaf = key;
	if (fd < 0)
		return fha_error_errno(err, fha_store_dir_code(), "could not open the store's directory");
	for (const char *slash; code == FHA_OK && (slash = strchr(*leaf, '/')) != NULL;)
	{
		char part[256];
		bool made = false;
		int next;

		(void) snprintf(part, sizeof(part), "%.*s", (int) (slash - *leaf), *leaf);
		code = root != NULL ? dirstore_make_folder(root_fd, fd, part, &next, &made, err)
							: fha_store_dir_open_folder(fd, part, &next, err);
		if (code == FHA_OK && root != NULL)
			code = dirstore_flush_name(root, fd, next, made, err);
		(void) close(fd);
		fd = next;
		*leaf = slash + 1;
	}
	if (code == FHA_OK)
		*out = fd;
	else if (fd >= 0)
		(void) close(fd);
	return code;
}

/* --- write */

FhaCode
fha_store_dir_write(int fd, uint64_t at, const FhaStoreSource *source, FhaError *err)
{
	char *piece = malloc(FHA_STORE_PIECE);
	FhaCode code = FHA_OK;
	uint64_t done = 0;

	if (piece == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	while (code == FHA_OK && done < source->size)
	{
		uint64_t left = source->size - done;
		size_t size = left < FHA_STORE_PIECE ? (size_t) left : FHA_STORE_PIECE;
		ssize_t put = -1;

		if (!source->fetch(source->owner, done, piece, size))
			code = fha_error(err, FHA_TIMEOUT, "the write was given up");
		else if ((put = pwrite(fd, piece, size, (off_t) (at + done))) >= 0)
			done += (uint64_t) put;
		else if (errno != EINTR)
			code = fha_error_errno(err, fha_store_dir_code(), "could not write");
	}
	free(piece);
	return code;
}

/* What stands in the way of a link: an object, which may be the file itself, or something else. */
static FhaCode
dirstore_judge_existing(int parent_fd, const char *leaf, int file_fd, FhaError *err)
{
	struct stat there;
	struct stat own;

	if (fstatat(parent_fd, leaf, &there, AT_SYMLINK_NOFOLLOW) != 0 || fstat(file_fd, &own) != 0)
		return fha_error_errno(err, errno == ENOENT ? FHA_AGAIN : FHA_IO,
							   "could not examine \"%.120s\"", leaf);
	if (!S_ISREG(there.st_mode))
		return fha_error(err, FHA_INVALID, "\"%.120s\" is a folder of other objects, or no file",
						 leaf);
	/* Over a network, the answer to a link that was made may be lost. */
	if (there.st_ino == own.st_ino && there.st_dev == own.st_dev)
		return FHA_OK;
	return fha_error(err, FHA_CONFLICT, "there is an object \"%.120s\"", leaf);
}

/* Not every filesystem has hard links. */
static bool
dirstore_has_no_links(void)
{
	return errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS || errno == EMLINK;
}

static FhaCode
dirstore_create(int from, const char *name, int file_fd, int parent_fd, const char *leaf,
				FhaError *err)
{
	if (linkat(from, name, parent_fd, leaf, 0) == 0 ||
		(dirstore_has_no_links() && renameat2(from, name, parent_fd, leaf, RENAME_NOREPLACE) == 0))
		return FHA_OK;
	if (errno == EEXIST)
		return dirstore_judge_existing(parent_fd, leaf, file_fd, err);
	return fha_error_errno(err, errno == ENOENT ? FHA_NOT_FOUND : fha_store_dir_code(),
						   "could not create \"%.120s\"", leaf);
}

static FhaCode
dirstore_replace(int from, const char *name, int parent_fd, const char *leaf, FhaError *err)
{
	if (renameat(from, name, parent_fd, leaf) == 0)
		return FHA_OK;
	if (errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR)
		return fha_error(err, FHA_INVALID, "\"%.120s\" is a folder of other objects", leaf);
	return fha_error_errno(err, errno == ENOENT ? FHA_NOT_FOUND : fha_store_dir_code(),
						   "could not create \"%.120s\"", leaf);
}

/* NOT_FOUND: the folder was removed meanwhile. */
static FhaCode
dirstore_publish_once(FhaStoreRoot *root, int root_fd, int from, const char *name, int file_fd,
					  const char *key, bool if_absent, FhaError *err)
{
	const char *leaf;
	int parent_fd;
	FhaCode code = dirstore_open_parent(root, root_fd, key, &parent_fd, &leaf, err);

	if (code != FHA_OK)
		return code;
	code = if_absent ? dirstore_create(from, name, file_fd, parent_fd, leaf, err)
					 : dirstore_replace(from, name, parent_fd, leaf, err);
	/* An object that is in the way is taken for safe by the caller: it may not have been flushed yet. */
	if ((code == FHA_OK || code == FHA_CONFLICT) && !fha_store_dir_flush_folder(parent_fd))
		code = fha_error_errno(err, code == FHA_OK ? FHA_UNKNOWN : FHA_IO,
							   "could not flush the folder of \"%.120s\"", leaf);
	(void) close(parent_fd);
	return code;
}

/* Is a part of the key an object? */
static bool
dirstore_has_file_above(int root_fd, const char *key)
{
	struct stat status;
	char above[FHA_STORE_KEY_SIZE];

	for (const char *slash = strchr(key, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
	{
		(void) snprintf(above, sizeof(above), "%.*s", (int) (slash - key), key);
		if (fstatat(root_fd, above, &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(status.st_mode))
			return true;
	}
	return false;
}

FhaCode
fha_store_dir_publish(FhaStoreRoot *root, int root_fd, int from, const char *name, int file_fd,
					  const char *key, bool if_absent, FhaError *err)
{
	FhaCode code = FHA_NOT_FOUND;

	for (int i = 0; code == FHA_NOT_FOUND && i < DIRSTORE_TRIES; i++)
		code = dirstore_publish_once(root, root_fd, from, name, file_fd, key, if_absent, err);
	if (code != FHA_NOT_FOUND)
		return code;
	if (dirstore_has_file_above(root_fd, key))
		return fha_error(err, FHA_INVALID,
						 "a part of \"%.120s\" is an object already, and no folder", key);
	return fha_error(err, FHA_AGAIN, "the folder of \"%.120s\" is removed again and again", key);
}

/* Aside, in whole, and flushed; *fd is closed by the caller if it is not -1. */
static FhaCode
dirstore_write_aside(int root_fd, int hidden_fd, const char *name, const FhaStoreSource *source,
					 int *fd, FhaError *err)
{
	FhaCode code;

	*fd = openat(hidden_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (*fd < 0 || !fha_store_dir_own(root_fd, *fd))
		return fha_error_errno(err, fha_store_dir_code(), "could not create a file");
	code = fha_store_dir_write(*fd, 0, source, err);
	if (code == FHA_OK && fsync(*fd) != 0)
		code = fha_error_errno(err, fha_store_dir_code(), "could not flush a file");
	if (code == FHA_OK && !source->fetch(source->owner, 0, NULL, 0))
		code = fha_error(err, FHA_TIMEOUT, "the write was given up");
	return code;
}

FhaCode
fha_store_dir_put(FhaStoreRoot *root, const char *key, const FhaStoreSource *source, bool if_absent,
				  FhaError *err)
{
	char name[FHA_ID_SIZE + 4] = "put.";
	int root_fd = -1;
	int hidden_fd = -1;
	int fd = -1;
	FhaCode code = fha_random_hex(name + 4, sizeof(name) - 4, err);

	if (code == FHA_OK)
		code = fha_store_dir_open_root(root, &root_fd, err);
	if (code == FHA_OK)
		code = fha_store_dir_open_hidden(root_fd, &hidden_fd, err);
	if (code == FHA_OK)
	{
		code = dirstore_write_aside(root_fd, hidden_fd, name, source, &fd, err);
		if (code == FHA_OK)
			code = fha_store_dir_publish(root, root_fd, hidden_fd, name, fd, key, if_absent, err);
		(void) unlinkat(hidden_fd, name, 0);
	}
	if (fd >= 0)
		(void) close(fd);
	if (hidden_fd >= 0)
		(void) close(hidden_fd);
	if (root_fd >= 0)
		(void) close(root_fd);
	return code;
}

/* --- examine and read */

static FhaCode
dirstore_absent(const char *key, FhaError *err)
{
	return fha_error(err, FHA_NOT_FOUND, "there is no object \"%.120s\"", key);
}

FhaCode
fha_store_dir_open_object(const FhaStoreRoot *root, const char *key, int *fd, char *identity,
						  uint64_t *size, int64_t *modified_s, FhaError *err)
{
	struct stat status = {0};
	const char *leaf;
	int root_fd;
	int parent_fd = -1;
	FhaCode code = fha_store_dir_open_root(root, &root_fd, err);

	*fd = -1;
	if (code != FHA_OK)
		return code;
	code = dirstore_open_parent(NULL, root_fd, key, &parent_fd, &leaf, err);
	(void) close(root_fd);
	if (code == FHA_NOT_FOUND)
		return dirstore_absent(key, err);
	if (code != FHA_OK)
		return code;
	/* What waits for a writer is no object. */
	*fd = openat(parent_fd, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (*fd < 0 && errno != ENOENT && errno != ELOOP && errno != ENXIO)
		code = fha_error_errno(err, fha_store_dir_code(), "could not open \"%.120s\"", key);
	else if (*fd >= 0 && fstat(*fd, &status) != 0)
		code = fha_error_errno(err, FHA_IO, "could not examine \"%.120s\"", key);
	else if (*fd < 0 || !S_ISREG(status.st_mode))
		code = dirstore_absent(key, err);
	(void) close(parent_fd);
	if (code != FHA_OK)
	{
		if (*fd >= 0)
			(void) close(*fd);
		*fd = -1;
		return code;
	}
	*size = (uint64_t) status.st_size;
	*modified_s = status.st_mtim.tv_sec;
	(void) snprintf(identity, FHA_STORE_TAG_SIZE, "%llx-%llx-%llx.%lx",
					(unsigned long long) status.st_dev, (unsigned long long) status.st_ino,
					(unsigned long long) status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
	return FHA_OK;
}

FhaCode
fha_store_dir_stat(const FhaStoreRoot *root, const char *key, uint64_t *size, int64_t *modified_s,
				   FhaError *err)
{
	char identity[FHA_STORE_TAG_SIZE];
	int fd;
	FhaCode code = fha_store_dir_open_object(root, key, &fd, identity, size, modified_s, err);

	if (code == FHA_OK)
		(void) close(fd);
	return code;
}

FhaCode
fha_store_dir_read(int fd, uint64_t at, char *out, size_t size, size_t *got, FhaError *err)
{
	ssize_t count;

	do
		count = pread(fd, out, size, (off_t) at);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return fha_error_errno(err, FHA_IO, "could not read");
	*got = (size_t) count;
	return FHA_OK;
}

/* --- delete */

/* The folders of a key that are empty now, from the innermost on. */
static void
dirstore_prune(int root_fd, const char *key)
{
	char folder[FHA_STORE_KEY_SIZE];
	char *slash;

	(void) snprintf(folder, sizeof(folder), "%s", key);
	while ((slash = strrchr(folder, '/')) != NULL)
	{
		const char *leaf;
		int parent_fd;
		bool removed;

		*slash = '\0';
		if (dirstore_open_parent(NULL, root_fd, folder, &parent_fd, &leaf, NULL) != FHA_OK)
			continue;
		removed = unlinkat(parent_fd, leaf, AT_REMOVEDIR) == 0;
		(void) close(parent_fd);
		if (!removed)
			return;
	}
}

static FhaCode
dirstore_delete_one(int root_fd, const char *key, FhaError *err)
{
	const char *leaf;
	int parent_fd;
	FhaCode code = fha_store_dir_key_check(key, NULL);

	/* What no file can be called is not there. */
	if (code != FHA_OK)
		return FHA_OK;
	code = dirstore_open_parent(NULL, root_fd, key, &parent_fd, &leaf, err);
	if (code != FHA_OK)
		return code == FHA_NOT_FOUND ? FHA_OK : code;
	/* A folder is no object. */
	if (unlinkat(parent_fd, leaf, 0) != 0 && errno != ENOENT && errno != EISDIR)
		code = fha_error_errno(err, fha_store_dir_code(), "could not delete \"%.120s\"", key);
	/* Even if it was not there: an earlier removal may not have been flushed. */
	else if (!fha_store_dir_flush_folder(parent_fd))
		code = fha_error_errno(err, FHA_UNKNOWN, "could not flush the folder of \"%.120s\"", key);
	(void) close(parent_fd);
	if (code == FHA_OK)
		dirstore_prune(root_fd, key);
	return code;
}

FhaCode
fha_store_dir_delete(const FhaStoreRoot *root, const char *const *keys, size_t count, FhaError *err)
{
	int root_fd;
	FhaCode code = fha_store_dir_open_root(root, &root_fd, err);

	if (code != FHA_OK)
		return code;
	for (size_t i = 0; code == FHA_OK && i < count; i++)
		code = dirstore_delete_one(root_fd, keys[i], err);
	(void) close(root_fd);
	return code;
}
