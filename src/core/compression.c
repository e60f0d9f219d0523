/*
 * compression.c: the names of compressions.  See compression.h.
 */
#include "core/compression.h"

#include <stddef.h>
#include <string.h>

static const struct
{
	const char *suffix;
	const char *name;
	int level_max;
} compressions[FHA_COMPRESSIONS] = {
	[FHA_COMPRESSION_NONE] = {"", "none", 0},
	[FHA_COMPRESSION_GZIP] = {".gz", "gzip", FHA_GZIP_LEVEL_MAX},
	[FHA_COMPRESSION_BZIP2] = {".bz2", "bzip2", 0},
	[FHA_COMPRESSION_XZ] = {".xz", "xz", 0},
	[FHA_COMPRESSION_SNAPPY] = {".snappy", "snappy", 0},
	[FHA_COMPRESSION_ZSTD] = {".zst", "zstd", FHA_ZSTD_LEVEL_MAX},
	[FHA_COMPRESSION_LZ4] = {".lz4", "lz4", FHA_LZ4_LEVEL_MAX},
};

static const char compression_allowed[] =
	"use gzip, lz4, zstd or none, and a level if you like: gzip:1 to gzip:9, lz4:1 to lz4:12, "
	"zstd:1 to zstd:9";

const char *
fha_compression_suffix(FhaCompression compression)
{
	return compressions[compression].suffix;
}

const char *
fha_compression_name(FhaCompression compression)
{
	return compressions[compression].name;
}

int
fha_compression_level_max(FhaCompression compression)
{
	return compressions[compression].level_max;
}

/* One or two digits, from 1 on; 0: it is no such number. */
static int
compression_level(const char *text)
{
	int level = 0;
	size_t length = strspn(text, "0123456789");

	if (length == 0 || length > 2 || text[length] != '\0')
		return 0;
	for (size_t i = 0; i < length; i++)
		level = level * 10 + (text[i] - '0');
	return level;
}

bool
fha_compression_parse(const char *text, FhaCompression *out, int *level,
					  char why[FHA_SENTENCE_SIZE])
{
	size_t length = strcspn(text, ":");

	for (int i = 0; i < FHA_COMPRESSIONS; i++)
	{
		int found = text[length] == ':' ? compression_level(text + length + 1) : 0;

		if (strlen(compressions[i].name) != length ||
			strncmp(text, compressions[i].name, length) != 0 ||
			(compressions[i].level_max == 0 && i != FHA_COMPRESSION_NONE) ||
			(text[length] == ':' && (found == 0 || found > compressions[i].level_max)))
			continue;
		*out = (FhaCompression) i;
		*level = found;
		return true;
	}
	memcpy(why, compression_allowed, sizeof(compression_allowed));
	return false;
}
