/*
 * files.h: objects as files below one root; all of it may block.
 *
 * The key "a/b" is the file "b" in the folder "a".  A folder without an object is nothing.
 * What is being written lies in FHA_STORE_HIDDEN of the root, is flushed, and becomes the object by link(2) or rename(2).
 * So an object is whole whenever it can be seen.  No symbolic link is followed below the root.
 *
 * Keys that files cannot have are INVALID: an empty part, ".", "..", a part above 255 bytes, more than FHA_STORE_DEPTH_MAX folders,
 * the hidden folder, the "lost+found" of a filesystem's own, and a key that is a folder of others.
 */
#ifndef FHA_STORE_DIR_FILES_H
#define FHA_STORE_DIR_FILES_H

#include <pthread.h>

#include "store/driver.h"

#define FHA_STORE_HIDDEN ".fawkes-store"
#define FHA_STORE_DEPTH_MAX 32
#define FHA_STORE_PIECE (256 * 1024) /* bytes that are written or read at a time */
#define FHA_STORE_KNOWN_MAX 16

/* A folder that stays the same one. */
typedef struct FhaStoreFolder
{
	uint64_t device, inode;
	int64_t born_s;
	uint32_t born_ns;
} FhaStoreFolder;

/* What all threads of a store share. */
typedef struct FhaStoreRoot
{
	char path[FHA_PATH_SIZE];
	pthread_mutex_t lock;
	/* Folders whose own names were flushed by this process. */
	FhaStoreFolder known[FHA_STORE_KNOWN_MAX];
	unsigned known_next;
} FhaStoreRoot;

/*
 * What is written, piece by piece, because the caller may take it back at any time.
 * fetch: `size` bytes from `at` on into out; false: it was taken back, and the write must not be finished.
 */
typedef struct FhaStoreSource
{
	uint64_t size;
	bool (*fetch)(void *owner, uint64_t at, char *out, size_t size);
	void *owner;
} FhaStoreSource;

/* The code that errno stands for. */
FhaCode fha_store_dir_code(void);

/* INVALID: no file can have this key; then the text says why. */
FHA_MUST_CHECK FhaCode fha_store_dir_key_check(const char *key, FhaError *err);

/* The root, as it is now.  IO: it is not there.  INVALID: it is open to every user. */
FHA_MUST_CHECK FhaCode fha_store_dir_open_root(const FhaStoreRoot *root, int *fd, FhaError *err);

/* The hidden folder, which is made.  It is not flushed into the root. */
FHA_MUST_CHECK FhaCode fha_store_dir_open_hidden(int root_fd, int *fd, FhaError *err);

/* A folder below another, no link.  NOT_FOUND: no such folder. */
FHA_MUST_CHECK FhaCode fha_store_dir_open_folder(int parent_fd, const char *name, int *fd,
												 FhaError *err);

/* Flush a folder.  A filesystem that cannot do so, as some on a network, is taken for flushed. */
FHA_MUST_CHECK bool fha_store_dir_flush_folder(int fd);

/* A new folder or file is the root's owner's if root makes it. */
FHA_MUST_CHECK bool fha_store_dir_own(int root_fd, int fd);

/* All of a source, at `at` of the file.  TIMEOUT: it was taken back. */
FHA_MUST_CHECK FhaCode fha_store_dir_write(int fd, uint64_t at, const FhaStoreSource *source,
										   FhaError *err);

/*
 * Make the flushed file `name` in `from` (its descriptor: file_fd) the object `key`, durably.  Without if_absent, it replaces another.
 * The name in `from` is gone afterwards, or is another name of the object.  CONFLICT: there is one.  UNKNOWN: it is there, and not flushed.
 */
FHA_MUST_CHECK FhaCode fha_store_dir_publish(FhaStoreRoot *root, int root_fd, int from,
											 const char *name, int file_fd, const char *key,
											 bool if_absent, FhaError *err);

/* The verbs.  The key was checked. */
FHA_MUST_CHECK FhaCode fha_store_dir_put(FhaStoreRoot *root, const char *key,
										 const FhaStoreSource *source, bool if_absent,
										 FhaError *err);
FHA_MUST_CHECK FhaCode fha_store_dir_stat(const FhaStoreRoot *root, const char *key, uint64_t *size,
										  int64_t *modified_s, FhaError *err);
FHA_MUST_CHECK FhaCode fha_store_dir_delete(const FhaStoreRoot *root, const char *const *keys,
											size_t count, FhaError *err);

/* An object to read; identity has FHA_STORE_TAG_SIZE bytes, and changes with the content. */
FHA_MUST_CHECK FhaCode fha_store_dir_open_object(const FhaStoreRoot *root, const char *key, int *fd,
												 char *identity, uint64_t *size,
												 int64_t *modified_s, FhaError *err);
/* *got: 0 at the end. */
FHA_MUST_CHECK FhaCode fha_store_dir_read(int fd, uint64_t at, char *out, size_t size, size_t *got,
										  FhaError *err);

/* A page of the objects whose key begins with request->key. */
FHA_MUST_CHECK FhaCode fha_store_dir_list(const FhaStoreRoot *root, const FhaStoreRequest *request,
										  FhaStoreResult *result, FhaError *err);

#endif
