/*
 * tar_entries.h: tar archives to read, entry by entry.
 */
#ifndef TAR_ENTRIES_H
#define TAR_ENTRIES_H

#include <stdio.h>

#include "test/backup/streams.h"

static inline void
add_sum(char *block)
{
	unsigned sum = 0;

	memset(block + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += (unsigned char) block[i];
	(void) snprintf(block + 148, 8, "%06o", sum);
}

static inline void
add_padding(Bytes *tar)
{
	static const char zeros[512];

	bytes_add(tar, zeros, (512 - tar->size % 512) % 512);
}

static inline void
add_header(Bytes *tar, const char *name, char type, const char *size_field, const char *link)
{
	char block[512] = "";

	memcpy(block, name, strnlen(name, 100));
	memcpy(block + 100, "0000640", 7);
	memcpy(block + 124, size_field, 11);
	memcpy(block + 136, "14723456710", 11);
	block[156] = type;
	memcpy(block + 157, link, strnlen(link, 100));
	memcpy(block + 257, "ustar\00000", 8);
	add_sum(block);
	bytes_add(tar, block, 512);
}

static inline void
add_entry(Bytes *tar, const char *name, char type, const char *content, const char *link)
{
	char size[24];

	(void) snprintf(size, sizeof(size), "%011zo", strlen(content));
	add_header(tar, name, type, size, link);
	bytes_add(tar, content, strlen(content));
	add_padding(tar);
}

static inline void
add_file(Bytes *tar, const char *name, const char *content)
{
	add_entry(tar, name, '0', content, "");
}

static inline void
add_end(Bytes *tar)
{
	static const char zeros[1024];

	bytes_add(tar, zeros, sizeof(zeros));
}

#endif
