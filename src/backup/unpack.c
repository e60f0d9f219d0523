/*
 * unpack.c: the way back of an object.  See unpack.h.
 */
#include "backup/unpack.h"

#include "backup/compress.h"

FhaCode
fha_unpack_open(FhaStream **out, const FhaObjectName *name, const FhaSealKeys *keys,
				const char *key, FhaError *err)
{
	FhaStream *links[2];
	size_t count = 0;
	FhaCode code = FHA_OK;

	*out = NULL;
	if (name->encrypted && (keys == NULL || keys->count == 0))
		return fha_error(err, FHA_DENIED,
						 "\"%.120s\" is encrypted, and no key is set: fawkes_ha.backup_key_file",
						 key);
	if (name->encrypted)
	{
		code = fha_unseal_open(&links[0], keys, key, err);
		count = code == FHA_OK ? 1 : 0;
	}
	if (code != FHA_OK)
		return code;
	code = fha_decompress_open(&links[count], name->compression, err);
	if (code == FHA_OK)
		return fha_chain_open(out, links, count + 1, err);
	if (count > 0)
		fha_stream_close(links[0]);
	return code;
}
