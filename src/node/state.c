/*
 * state.c: the node's own directory and its two locks.
 */
#include "node/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/fs.h"
#include "base/json.h"
#include "config/state_directory.h"

/* node.json has five short fields; more than this is not ours. */
#define NODE_FILE_MAX (64 * 1024)

#define OWNERSHIP_BYTE 0
#define CLAIM_BYTE 1
#define GUARD_BYTE 2
#define LIVENESS_BYTE 0

/*
 * Is the directory `fd` the one that `data` names, or below it?  By inode on the
 * way up to the root, so that no symbolic link hides it.  Takes over fd.
 */
static bool
is_inside(int fd, const char *data)
{
	struct stat wanted;
	bool inside = false;

	if (stat(data, &wanted) != 0)
	{
		(void) close(fd);
		return false;
	}
	for (;;)
	{
		struct stat here;
		struct stat above;
		int parent;

		if (fstat(fd, &here) != 0)
			break;
		inside = here.st_dev == wanted.st_dev && here.st_ino == wanted.st_ino;
		if (inside)
			break;
		parent = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (parent < 0)
			break;
		(void) close(fd);
		fd = parent;
		if (fstat(fd, &above) != 0 || (above.st_dev == here.st_dev && above.st_ino == here.st_ino))
			break;
	}
	(void) close(fd);
	return inside;
}

FhaCode
fha_state_prepare(const FhaConfig *config, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	struct statfs filesystem;
	struct stat status;
	FhaCode code;
	int fd;

	code = fha_state_directory(config, path, sizeof(path), err);
	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: the path was short enough before */
	if (mkdir(path, 0700) == 0)
	{
		code = fha_file_sync_parent(path, err);
		if (code != FHA_OK)
			return code; /* LCOV_EXCL_LINE: the kernel refuses */
	}
	else if (errno != EEXIST)
		return fha_error_errno(err, FHA_IO, "could not make the state directory \"%.100s\"", path);

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fha_error_errno(err, FHA_IO, "could not open the state directory \"%.100s\"", path);
	if (fstat(fd, &status) != 0 || fstatfs(fd, &filesystem) != 0)
		code =
			fha_error_errno(err, FHA_IO, "could not look at the state directory \"%.100s\"", path);
	else if (status.st_uid != geteuid())
		code = fha_error(err, FHA_INVALID,
						 "the state directory \"%.100s\" belongs to user %u, not to %u: change its "
						 "owner, or run as that user",
						 path, (unsigned) status.st_uid, (unsigned) geteuid());
	else if (fha_fs_is_network((long) filesystem.f_type))
		/* LCOV_EXCL_START: wants a network filesystem */
		code = fha_error(err, FHA_INVALID,
						 "the state directory \"%.100s\" is on a network filesystem, whose locks "
						 "prove nothing: put it on a local one",
						 path);
	/* LCOV_EXCL_STOP */
	else if ((status.st_mode & 077) != 0 && fchmod(fd, 0700) != 0)
		/* LCOV_EXCL_START: the kernel refuses */
		code = fha_error_errno(err, FHA_IO, "could not close \"%.100s\" to other users", path);
	/* LCOV_EXCL_STOP */
	if (code != FHA_OK)
	{
		(void) close(fd);
		return code;
	}
	if (config->data_directory[0] != '\0' && is_inside(fd, config->data_directory))
		return fha_error(err, FHA_INVALID,
						 "the state directory \"%.80s\" lies inside the data directory, where a "
						 "rewind would overwrite it: set fawkes_ha.state_directory to a place "
						 "beside it",
						 path);
	if (config->data_directory[0] == '\0')
		(void) close(fd); /* LCOV_EXCL_LINE: a caller names a directory of either kind */
	return FHA_OK;
}

FhaCode
fha_state_flush(const FhaConfig *config, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	FhaCode code = fha_state_path(config, "node.json", path, sizeof(path), err);

	return code == FHA_OK ? fha_file_sync_parent(path, err) : code;
}

static FhaCode
state_damaged(const char *path, const char *what, FhaError *err)
{
	return fha_error(err, FHA_INVALID,
					 "\"%.90s\" is damaged (%.40s): restore it from a backup, or remove it and let "
					 "this member be cloned anew",
					 path, what);
}

/* The string `key`, which may be absent (then ""): of the given length, or up to it. */
static bool
get_text(json_object *node, const char *key, char *out, size_t size)
{
	json_object *value;
	int length;

	out[0] = '\0';
	if (!json_object_object_get_ex(node, key, &value))
		return true;
	if (!json_object_is_type(value, json_type_string))
		return false;
	length = json_object_get_string_len(value);
	if (length < 0 || (size_t) length >= size ||
		strlen(json_object_get_string(value)) != (size_t) length)
		return false;
	memcpy(out, json_object_get_string(value), (size_t) length + 1);
	return true;
}

/* A hexadecimal identity of exactly size - 1 digits, or "" for none. */
static bool
get_hex(json_object *node, const char *key, char *out, size_t size)
{
	if (!get_text(node, key, out, size))
		return false;
	return out[0] == '\0' ||
		   (strlen(out) == size - 1 && strspn(out, "0123456789abcdef") == size - 1);
}

/* Terms stay below INT64_MAX: that value is what json-c makes of larger ones. */
static bool
get_term(json_object *node, const char *key, uint64_t *out)
{
	json_object *value;
	int64_t number;

	*out = 0;
	if (!json_object_object_get_ex(node, key, &value))
		return true;
	if (!json_object_is_type(value, json_type_int))
		return false;
	number = json_object_get_int64(value);
	if (number < 0 || number == INT64_MAX)
		return false;
	*out = (uint64_t) number;
	return true;
}

static FhaCode
state_from_json(const FhaConfig *config, const char *path, json_object *node, FhaState *state,
				FhaError *err)
{
	if (!get_text(node, "member", state->member, sizeof(state->member)) ||
		!fha_name_is_valid(state->member))
		return state_damaged(path, "no valid member", err);
	if (!get_text(node, "cluster", state->cluster, sizeof(state->cluster)) ||
		!fha_name_is_valid(state->cluster))
		return state_damaged(path, "no valid cluster", err);
	if (!get_hex(node, "cluster_uuid", state->cluster_uuid, sizeof(state->cluster_uuid)))
		return state_damaged(path, "no valid cluster_uuid", err);
	if (!get_hex(node, "data_incarnation", state->data_incarnation,
				 sizeof(state->data_incarnation)))
		return state_damaged(path, "no valid data_incarnation", err);
	if (!get_term(node, "highest_term", &state->highest_term))
		return state_damaged(path, "no valid highest_term", err);
	if (!get_hex(node, "cloned_for", state->cloned_for, sizeof(state->cloned_for)))
		return state_damaged(path, "no valid cloned_for", err);
	if (strcmp(state->member, config->member_name) != 0)
		return fha_error(err, FHA_INVALID,
						 "\"%.70s\" belongs to member \"%s\", but fawkes_ha.member_name is \"%s\": "
						 "give each member a state directory of its own",
						 path, state->member, config->member_name);
	if (strcmp(state->cluster, config->cluster_name) != 0)
		return fha_error(
			err, FHA_INVALID,
			"\"%.70s\" belongs to cluster \"%s\", but fawkes_ha.cluster_name is \"%s\"", path,
			state->cluster, config->cluster_name);
	return FHA_OK;
}

FhaCode
fha_state_load(const FhaConfig *config, FhaState *state, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	FhaError inner = {.code = FHA_OK};
	json_object *node;
	char *content;
	FhaCode code;

	memset(state, 0, sizeof(*state));
	code = fha_state_path(config, "node.json", path, sizeof(path), err);
	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: the path was short enough before */
	code = fha_file_read(path, NODE_FILE_MAX, &content, err);
	if (code == FHA_INVALID)
		return state_damaged(path, "too large, or not text", err);
	if (code != FHA_OK)
		return code;
	node = fha_json_parse(content, strlen(content), &inner);
	if (node != NULL)
		code = state_from_json(config, path, node, state, err);
	else if (inner.code == FHA_NO_MEMORY)
		code = fha_error(err, FHA_NO_MEMORY, "out of memory reading \"%.120s\"", path);
	else
		code = state_damaged(path, inner.text, err);
	json_object_put(node);
	free(content);
	return code;
}

FhaCode
fha_state_save(const FhaConfig *config, const FhaState *state, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	json_object *node;
	bool failed = false;
	char *text;
	FhaCode code;

	code = fha_state_path(config, "node.json", path, sizeof(path), err);
	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: the path was short enough before */
	if (state->highest_term >= INT64_MAX)
		return fha_error(err, FHA_INVALID, "the term %llu is too large",
						 (unsigned long long) state->highest_term);
	node = json_object_new_object();
	fha_json_put_text(node, "member", state->member, &failed);
	fha_json_put_text(node, "cluster", state->cluster, &failed);
	fha_json_put_text(node, "cluster_uuid", state->cluster_uuid, &failed);
	fha_json_put_text(node, "data_incarnation", state->data_incarnation, &failed);
	fha_json_put_int(node, "highest_term", (int64_t) state->highest_term, &failed);
	fha_json_put_text(node, "cloned_for", state->cloned_for, &failed);
	text = failed ? NULL : fha_json_print(node, JSON_C_TO_STRING_PRETTY);
	if (text == NULL)
		code = fha_error(err, FHA_NO_MEMORY, "out of memory writing \"%.120s\"", path);
	else
		code = fha_file_replace(path, text, strlen(text), err);
	free(text);
	json_object_put(node);
	return code;
}

static bool
lock_byte(int fd, short type, off_t byte)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1, .l_pid = 0};

	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

FhaCode
fha_ownership_open(const FhaConfig *config, FhaOwnership *ownership, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	FhaCode code;

	ownership->fd = -1;
	ownership->held = false;
	code = fha_state_path(config, "seat", path, sizeof(path), err);
	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: the path was short enough before */
	ownership->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (ownership->fd < 0)
		return fha_error_errno(err, FHA_IO, "could not open \"%.120s\"", path);
	return FHA_OK;
}

bool
fha_ownership_take(FhaOwnership *ownership)
{
	if (!ownership->held)
		ownership->held = lock_byte(ownership->fd, F_WRLCK, OWNERSHIP_BYTE);
	return ownership->held;
}

void
fha_ownership_release(FhaOwnership *ownership)
{
	if (ownership->held)
		(void) lock_byte(ownership->fd, F_UNLCK, OWNERSHIP_BYTE);
	ownership->held = false;
}

bool
fha_ownership_claim(FhaOwnership *ownership)
{
	return lock_byte(ownership->fd, F_WRLCK, CLAIM_BYTE);
}

bool
fha_ownership_guard(FhaOwnership *ownership)
{
	return lock_byte(ownership->fd, F_WRLCK, GUARD_BYTE);
}

bool
fha_ownership_is_claimed(const FhaOwnership *ownership)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = CLAIM_BYTE, .l_len = 1, .l_pid = 0};

	return fcntl(ownership->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool
fha_ownership_is_guarded(const FhaOwnership *ownership)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = GUARD_BYTE, .l_len = 1, .l_pid = 0};

	return fcntl(ownership->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool
fha_is_supervised(const FhaConfig *config)
{
	char path[FHA_PATH_SIZE];
	FhaOwnership ownership = {.fd = -1};
	bool guarded;

	if (fha_state_path(config, "seat", path, sizeof(path), NULL) != FHA_OK)
		return false; /* LCOV_EXCL_LINE: a configuration with such a path is refused */
	ownership.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (ownership.fd < 0)
		return false;
	guarded = fha_ownership_is_guarded(&ownership);
	fha_ownership_close(&ownership);
	return guarded;
}

/* When a process began, in the kernel's ticks: with its id, a name that is never used again. */
static bool
start_time(int pid, unsigned long long *out)
{
	char path[FHA_PROC_PATH_SIZE];
	char *content;
	const char *at;
	bool found = false;

	(void) snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (fha_file_read(path, 4096, &content, NULL) != FHA_OK)
		return false;
	/* Field 22; the second is the program's name, which may contain anything but ends at ")". */
	at = strrchr(content, ')');
	for (int field = 2; at != NULL && field < 22; field++)
	{
		at = strchr(at, ' ');
		if (at != NULL)
			at++;
	}
	if (at != NULL)
		found = sscanf(at, "%llu", out) == 1;
	free(content);
	return found;
}

void
fha_ownership_write_pid(const FhaOwnership *ownership)
{
	unsigned long long began = 0;
	char text[64];
	int length;

	(void) start_time((int) getpid(), &began);
	/* Padded, so that one write replaces whatever stood there. */
	length = snprintf(text, sizeof(text), "%11d %20llu\n", (int) getpid(), began);
	if (pwrite(ownership->fd, text, (size_t) length, 0) != (ssize_t) length)
		(void) ftruncate(ownership->fd, 0);
}

int
fha_ownership_read_pid(const FhaOwnership *ownership)
{
	unsigned long long written;
	unsigned long long began;
	char text[64];
	ssize_t got = pread(ownership->fd, text, sizeof(text) - 1, 0);
	int pid;

	if (got <= 0)
		return 0;
	text[got] = '\0';
	if (sscanf(text, "%d %llu", &pid, &written) != 2 || pid <= 1)
		return 0;
	/* The id of an agent that is gone may belong to somebody else by now. */
	if (!start_time(pid, &began) || began != written)
		return 0;
	return pid;
}

void
fha_ownership_close(FhaOwnership *ownership)
{
	if (ownership->fd >= 0)
		(void) close(ownership->fd);
	ownership->fd = -1;
	ownership->held = false;
}

FhaCode
fha_liveness_take(const FhaConfig *config, int *fd, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	FhaCode code;

	*fd = -1;
	code = fha_state_path(config, "life", path, sizeof(path), err);
	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: the path was short enough before */
	/* Without O_CLOEXEC: everything that PostgreSQL starts shall hold it. */
	*fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (*fd < 0)
		return fha_error_errno(err, FHA_IO, "could not open \"%.120s\"", path);
	if (lock_byte(*fd, F_WRLCK, LIVENESS_BYTE))
		return FHA_OK;
	if (errno == EAGAIN || errno == EACCES)
		code = fha_error(err, FHA_CONFLICT,
						 "a process of this node still lives: \"%.120s\" is locked", path);
	else
		/* LCOV_EXCL_START: the kernel refuses */
		code = fha_error_errno(err, FHA_IO, "could not lock \"%.120s\"", path);
	/* LCOV_EXCL_STOP */
	(void) close(*fd);
	*fd = -1;
	return code;
}

FhaCode
fha_liveness_identity(const FhaConfig *config, char *out, size_t size, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	struct stat info;
	int fd;
	FhaCode code = fha_state_path(config, "life", path, sizeof(path), err);

	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: the path was short enough before */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || fstat(fd, &info) != 0)
		code = fha_error_errno(err, FHA_IO, "could not open \"%.120s\"", path);
	else
		(void) snprintf(out, size, "%llx:%llx", (unsigned long long) info.st_dev,
						(unsigned long long) info.st_ino);
	if (fd >= 0)
		(void) close(fd);
	return code;
}
