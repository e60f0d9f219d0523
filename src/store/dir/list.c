/*
 * list.c: a page of the objects in a directory, in the order of their keys' bytes.
 *
 * A folder counts with the '/' behind its name, so that reading folders by name in turn gives the order of keys.
 * Of a folder with many files, only those that the page can take are kept in memory.
 */
#include "store/dir/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_PICK_MAX 1000
#define LIST_NAME_SIZE 257 /* with the '/' of a folder */

/* The first names of a folder, sorted. */
typedef struct ListPick
{
	char (*names)[LIST_NAME_SIZE];
	size_t count;
	bool cut; /* there are more */
} ListPick;

typedef struct Lister
{
	const char *wanted; /* what keys begin with */
	const char *after;  /* the last key of the page before; "": none */
	bool delimiter;
	FhaStoreResult *result;
	char key[FHA_STORE_KEY_SIZE]; /* of the folder that is read, with its '/' */
	unsigned depth;
} Lister;

static bool
list_begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* --- names of one folder */

static void
list_pick_put(ListPick *pick, const char *name)
{
	size_t low = 0;
	size_t high = pick->count;

	while (low < high)
	{
		size_t middle = (low + high) / 2;

		if (strcmp(name, pick->names[middle]) < 0)
			high = middle;
		else
			low = middle + 1;
	}
	if (pick->count == LIST_PICK_MAX)
	{
		pick->cut = true;
		if (low == LIST_PICK_MAX)
			return;
		pick->count--;
	}
	memmove(pick->names[low + 1], pick->names[low], (pick->count - low) * LIST_NAME_SIZE);
	memcpy(pick->names[low], name, strlen(name) + 1);
	pick->count++;
}

/* A file or a folder, as it would be a part of a key; false: neither, or one that no key names. */
static bool
list_name(int fd, bool is_root, const struct dirent *entry, char *name)
{
	unsigned char type = entry->d_type;
	struct stat status;

	if (!fha_store_key_valid(entry->d_name, strlen(entry->d_name)))
		return false;
	if (is_root ? fha_store_dir_key_check(entry->d_name, NULL) != FHA_OK
				: strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
		return false;
	if (type == DT_UNKNOWN && fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
		/* LCOV_EXCL_START: wants a filesystem that does not tell types */
		type = S_ISDIR(status.st_mode) ? DT_DIR : S_ISREG(status.st_mode) ? DT_REG : DT_UNKNOWN;
	/* LCOV_EXCL_STOP */
	(void) snprintf(name, LIST_NAME_SIZE, "%s%s", entry->d_name, type == DT_DIR ? "/" : "");
	return type == DT_DIR || type == DT_REG;
}

/* Can something of this name belong to the page? */
static bool
list_is_wanted(Lister *lister, const char *name)
{
	size_t at = strlen(lister->key);
	size_t length = strlen(name);
	bool is_folder = name[length - 1] == '/';
	bool fits = at + length < sizeof(lister->key);
	bool wanted = false;

	if (fits)
	{
		memcpy(lister->key + at, name, length + 1);
		wanted = list_begins(lister->key, lister->wanted);
		if (is_folder && !wanted)
			wanted = list_begins(lister->wanted, lister->key);
		if (is_folder && !lister->delimiter && list_begins(lister->after, lister->key))
			;
		else if (strcmp(lister->key, lister->after) <= 0)
			wanted = false;
		lister->key[at] = '\0';
	}
	return wanted;
}

typedef bool (*ListSee)(int fd, const char *name, void *owner);

/* Each file and folder in turn, until `see` says false. */
static FhaCode
list_walk(int fd, bool is_root, ListSee see, void *owner, FhaError *err)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = again < 0 ? NULL : fdopendir(again);
	char name[LIST_NAME_SIZE];
	const struct dirent *entry;
	bool goes_on = true;

	if (folder == NULL)
	{
		if (again >= 0)
			(void) close(again);
		return fha_error_errno(err, fha_store_dir_code(), "could not read a folder");
	}
	while (goes_on && (errno = 0, entry = readdir(folder)) != NULL)
		if (list_name(fd, is_root, entry, name))
			goes_on = see(fd, name, owner);
	if (goes_on && errno != 0)
	{
		(void) fha_error_errno(err, FHA_IO, "could not read a folder");
		(void) closedir(folder);
		return FHA_IO;
	}
	(void) closedir(folder);
	return FHA_OK;
}

typedef struct ListPicking
{
	Lister *lister;
	ListPick *pick;
	const char *behind; /* a name; "": none */
} ListPicking;

static bool
list_see_pick(int fd, const char *name, void *owner)
{
	ListPicking *picking = owner;

	(void) fd;
	if (strcmp(name, picking->behind) > 0 && list_is_wanted(picking->lister, name))
		list_pick_put(picking->pick, name);
	return true;
}

/* --- is there an object below? */

typedef struct ListSearch
{
	bool found;
	unsigned depth;
	FhaCode code;
	FhaError *err;
} ListSearch;

static bool
list_see_any(int fd, const char *name, void *owner)
{
	ListSearch *search = owner;
	ListSearch below = {.depth = search->depth + 1, .err = search->err};
	char folder[LIST_NAME_SIZE];
	size_t length = strlen(name);
	int inner;

	if (name[length - 1] != '/')
	{
		search->found = true;
		return false;
	}
	if (search->depth == FHA_STORE_DEPTH_MAX)
		return true;
	(void) snprintf(folder, sizeof(folder), "%.*s", (int) (length - 1), name);
	search->code = fha_store_dir_open_folder(fd, folder, &inner, search->err);
	if (search->code == FHA_NOT_FOUND)
	{
		/* LCOV_EXCL_START: removed at this moment */
		search->code = FHA_OK;
		return true;
		/* LCOV_EXCL_STOP */
	}
	if (search->code != FHA_OK)
		return false;
	search->code = list_walk(inner, false, list_see_any, &below, search->err);
	if (search->code == FHA_OK)
		search->code = below.code;
	search->found = below.found;
	(void) close(inner);
	return search->code == FHA_OK && !search->found;
}

/* --- the page */

static FhaCode list_folder(Lister *lister, int fd, FhaError *err);

static bool
list_is_full(const Lister *lister)
{
	return lister->result->object_count == FHA_STORE_LIST_MAX;
}

static FhaCode
list_add(Lister *lister, const FhaStoreObject *object, FhaError *err)
{
	static const FhaStoreSettings plain = {.kind = FHA_STORE_DIR};

	return fha_store_add_object(lister->result, &plain, lister->key, strlen(lister->key), object,
								err);
}

static FhaCode
list_file(Lister *lister, int fd, const char *name, FhaError *err)
{
	FhaStoreObject object = {0};
	struct stat status;

	if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? FHA_OK
							   : fha_error_errno(err, fha_store_dir_code(),
												 "could not examine \"%.120s\"", name);
	if (!S_ISREG(status.st_mode))
		return FHA_OK;
	object.size = (uint64_t) status.st_size;
	object.modified_s = status.st_mtim.tv_sec;
	return list_add(lister, &object, err);
}

/* The folder whose name stands at the end of lister->key: as such, or what is in it. */
static FhaCode
list_subfolder(Lister *lister, int fd, const char *name, FhaError *err)
{
	ListSearch search = {.depth = lister->depth + 1, .err = err};
	const FhaStoreObject object = {.is_folder = true};
	int inner;
	FhaCode code;

	if (lister->depth == FHA_STORE_DEPTH_MAX)
		return FHA_OK;
	code = fha_store_dir_open_folder(fd, name, &inner, err);
	if (code != FHA_OK)
		return code == FHA_NOT_FOUND ? FHA_OK : code;
	lister->depth++;
	if (lister->delimiter && list_begins(lister->key, lister->wanted) &&
		strcmp(lister->key, lister->wanted) != 0)
	{
		code = list_walk(inner, false, list_see_any, &search, err);
		if (code == FHA_OK)
			code = search.code;
		if (code == FHA_OK && search.found)
			code = list_add(lister, &object, err);
	}
	else
		code = list_folder(lister, inner, err);
	lister->depth--;
	(void) close(inner);
	return code;
}

/* One name of the folder that is read; of a folder with its '/'. */
static FhaCode
list_one(Lister *lister, int fd, const char *name, FhaError *err)
{
	size_t at = strlen(lister->key);
	size_t length = strlen(name);
	char bare[LIST_NAME_SIZE];
	FhaCode code;

	memcpy(lister->key + at, name, length + 1);
	(void) snprintf(bare, sizeof(bare), "%.*s",
					(int) (name[length - 1] == '/' ? length - 1 : length), name);
	code = name[length - 1] == '/' ? list_subfolder(lister, fd, bare, err)
								   : list_file(lister, fd, bare, err);
	lister->key[at] = '\0';
	return code;
}

/* What is wanted names the next folder: the others need no reading. */
static bool
list_next_is_named(const Lister *lister, char *name)
{
	size_t at = strlen(lister->key);
	const char *rest = lister->wanted + at;
	size_t length;

	if (strlen(lister->wanted) <= at)
		return false;
	length = strcspn(rest, "/");
	if (rest[length] != '/' || length + 1 >= LIST_NAME_SIZE)
		return false;
	(void) snprintf(name, LIST_NAME_SIZE, "%.*s", (int) (length + 1), rest);
	return true;
}

static FhaCode
list_folder(Lister *lister, int fd, FhaError *err)
{
	char behind[LIST_NAME_SIZE] = "";
	ListPick pick = {.cut = true};
	ListPicking picking = {.lister = lister, .pick = &pick, .behind = behind};
	FhaCode code = FHA_OK;

	if (list_next_is_named(lister, behind))
		return list_one(lister, fd, behind, err);
	pick.names = malloc((LIST_PICK_MAX + 1) * sizeof(*pick.names));
	if (pick.names == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	while (code == FHA_OK && pick.cut && !list_is_full(lister))
	{
		pick.count = 0;
		pick.cut = false;
		code = list_walk(fd, lister->depth == 0, list_see_pick, &picking, err);
		for (size_t i = 0; code == FHA_OK && i < pick.count && !list_is_full(lister); i++)
			code = list_one(lister, fd, pick.names[i], err);
		if (pick.count > 0)
			memcpy(behind, pick.names[pick.count - 1], LIST_NAME_SIZE);
	}
	free(pick.names);
	return code;
}

/* Can objects lie in the folder that is wanted? */
static bool
list_can_be(const char *wanted)
{
	char key[FHA_STORE_KEY_SIZE + 1];
	const char *slash = strrchr(wanted, '/');

	if (slash == NULL)
		return true;
	(void) snprintf(key, sizeof(key), "%.*sx", (int) (slash + 1 - wanted), wanted);
	return fha_store_dir_key_check(key, NULL) == FHA_OK;
}

FhaCode
fha_store_dir_list(const FhaStoreRoot *root, const FhaStoreRequest *request, FhaStoreResult *result,
				   FhaError *err)
{
	Lister lister = {.wanted = request->key,
					 .after = request->page == NULL ? "" : request->page,
					 .delimiter = request->delimiter,
					 .result = result};
	int fd;
	FhaCode code = fha_store_dir_open_root(root, &fd, err);

	if (code != FHA_OK)
		return code;
	if (list_can_be(request->key))
		code = list_folder(&lister, fd, err);
	(void) close(fd);
	if (code == FHA_OK && list_is_full(&lister))
		code = fha_store_set_text(&result->next, result->objects[FHA_STORE_LIST_MAX - 1].key,
								  FHA_STORE_PAGE_SIZE, err);
	return code;
}
