/*
 * uploads.h: multipart uploads in the hidden folder of a directory; all of it may block.
 *
 * An upload is a folder of 16 hex digits.  "key" has the part size and the key, and is written last when an upload begins.
 * "data" has the parts at (number - 1) * part size.  A part that is whole and flushed has an empty file
 * "NNNNN.SIZE.TAG", which goes before the part is written anew.
 *
 * Each writer of a part has a lock on its bytes of "data" for as long as it writes, even if its caller has given it up.
 * So no late write meets a later one, or the finished object.
 */
#ifndef FHA_STORE_DIR_UPLOADS_H
#define FHA_STORE_DIR_UPLOADS_H

#include "store/dir/files.h"

FHA_MUST_CHECK FhaCode fha_store_dir_begin(FhaStoreRoot *root, const FhaStoreRequest *request,
										   FhaStoreResult *result, FhaError *err);
FHA_MUST_CHECK FhaCode fha_store_dir_part(const FhaStoreRoot *root, const FhaStoreRequest *request,
										  const FhaStoreSource *source, FhaStoreResult *result,
										  FhaError *err);
FHA_MUST_CHECK FhaCode fha_store_dir_parts(const FhaStoreRoot *root, const FhaStoreRequest *request,
										   FhaStoreResult *result, FhaError *err);
FHA_MUST_CHECK FhaCode fha_store_dir_complete(FhaStoreRoot *root, const FhaStoreRequest *request,
											  FhaError *err);
FHA_MUST_CHECK FhaCode fha_store_dir_abort(const FhaStoreRoot *root, const FhaStoreRequest *request,
										   FhaError *err);
FHA_MUST_CHECK FhaCode fha_store_dir_uploads(const FhaStoreRoot *root,
											 const FhaStoreRequest *request, FhaStoreResult *result,
											 FhaError *err);

/* Remove what writers left that have died: files aside and half begun uploads, an hour after their last change. */
void fha_store_dir_sweep(const FhaStoreRoot *root);

#endif
