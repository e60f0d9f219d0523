/*
 * wal_source.c: a file of pg_wal, to be read.  See backup/wal_source.h.
 */
#include "backup/wal_source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static FhaWalIdentity
wal_identity(const struct stat *status)
{
	return (FhaWalIdentity){.device = status->st_dev,
							.inode = status->st_ino,
							.size = status->st_size,
							.modified = status->st_mtim};
}

static bool
wal_identity_is(const FhaWalIdentity *a, const FhaWalIdentity *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
		   a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec;
}

/* Of errno. */
static FhaCode
wal_error(const char *name, FhaError *err)
{
	return fha_error_errno(err, errno == ENOENT ? FHA_NOT_FOUND : FHA_IO, "%s in pg_wal", name);
}

/* PostgreSQL renames and overwrites segments that it needs no more: one that was not overwritten yet says where it was before. */
static FhaCode
wal_check_page(const FhaWalSource *source, const FhaWalFile *file, const FhaWalRules *rules,
			   FhaError *err)
{
	char page[FHA_WAL_PAGE_SIZE] = {0};
	size_t size = source->size < sizeof(page) ? (size_t) source->size : sizeof(page);
	FhaCode code = fha_wal_source_read(source, 0, page, size, err);

	return code == FHA_OK ? fha_wal_page_check(rules, file, source->name, page, source->size, err)
						  : code;
}

static FhaCode
wal_check_file(FhaWalSource *source, const FhaWalRules *rules, FhaError *err)
{
	struct stat status;
	FhaWalFile file;

	if (fstat(source->fd, &status) != 0)
		return wal_error(source->name, err);
	if (!S_ISREG(status.st_mode) || !fha_wal_file_parse(source->name, &file))
		return fha_error(err, FHA_INVALID, "%s in pg_wal is no WAL file", source->name);
	source->size = (uint64_t) status.st_size;
	source->identity = wal_identity(&status);
	if (file.kind == FHA_WAL_SEGMENT || file.kind == FHA_WAL_PARTIAL)
		return wal_check_page(source, &file, rules, err);
	if (source->size == 0 || source->size > FHA_WAL_TEXT_MAX)
		return fha_error(err, FHA_INVALID, "%s in pg_wal has %" PRIu64 " bytes: it is damaged",
						 source->name, source->size);
	return FHA_OK;
}

FhaCode
fha_wal_source_open(FhaWalSource *out, int directory, const char *name, const FhaWalRules *rules,
					FhaError *err)
{
	FhaCode code;

	*out = (FhaWalSource){.name = name};
	/* A pipe of that name would else be waited for. */
	out->fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (out->fd < 0)
		return wal_error(name, err);
	code = wal_check_file(out, rules, err);
	if (code != FHA_OK)
		fha_wal_source_close(out);
	return code;
}

FhaCode
fha_wal_source_read(const FhaWalSource *source, uint64_t at, char *out, size_t size, FhaError *err)
{
	size_t got = 0;

	while (got < size)
	{
		ssize_t some = pread(source->fd, out + got, size - got, (off_t) (at + got));

		if (some < 0 && errno == EINTR)
			continue;
		if (some < 0)
			return wal_error(source->name, err);
		if (some == 0)
			return fha_error(err, FHA_IO, "%s in pg_wal became shorter while it was read",
							 source->name);
		got += (size_t) some;
	}
	return FHA_OK;
}

FhaCode
fha_wal_source_check(const FhaWalSource *source, FhaError *err)
{
	struct stat status;
	FhaWalIdentity now;

	if (fstat(source->fd, &status) != 0)
		return wal_error(source->name, err);
	now = wal_identity(&status);
	if (!wal_identity_is(&now, &source->identity))
		return fha_error(err, FHA_IO, "%s in pg_wal was changed while it was read", source->name);
	return FHA_OK;
}

void
fha_wal_source_close(FhaWalSource *source)
{
	(void) close(source->fd);
	source->fd = -1;
}

FhaCode
fha_wal_identity_check(int directory, const char *name, const FhaWalIdentity *identity,
					   FhaError *err)
{
	struct stat status;
	FhaWalIdentity now;

	if (fstatat(directory, name, &status, 0) != 0)
		return wal_error(name, err);
	now = wal_identity(&status);
	return wal_identity_is(&now, identity) ? FHA_OK : FHA_AGAIN;
}
