/*
 * tar.c: a tar archive as it comes.  See backup/tar.h.
 */
#include "backup/tar.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/tame.h"

/* Of a header's block: POSIX' ustar. */
#define TAR_NAME_AT 0
#define TAR_NAME_SIZE 100
#define TAR_MODE_AT 100
#define TAR_SIZE_AT 124
#define TAR_TIME_AT 136
#define TAR_NUMBER_SIZE 12
#define TAR_SUM_AT 148
#define TAR_SUM_SIZE 8
#define TAR_TYPE_AT 156
#define TAR_LINK_AT 157
#define TAR_MAGIC_AT 257
#define TAR_PREFIX_AT 345
#define TAR_PREFIX_SIZE 155

typedef enum TarState
{
	TAR_IN_HEADER,
	TAR_IN_EXTENSION, /* the content of a pax header or of a long name */
	TAR_IN_DATA,
	TAR_IN_PADDING,
	TAR_IN_LAST, /* behind the first block of zeros */
	TAR_AT_END
} TarState;

struct FhaTar
{
	unsigned allowed;
	TarState state;
	FhaTarEntry entry;
	bool has_path; /* of an extension, as the three below; the header's own do not count then */
	bool has_link;
	bool has_size;
	bool has_time;
	uint64_t size; /* an extension's, when has_size */
	int64_t modified_s;
	uint64_t left;    /* of the data */
	unsigned padding; /* what then is to be skipped */
	unsigned zeros;   /* of the second block of zeros */
	size_t wanted;    /* bytes of `headers` until something can be said */
	size_t have;
	size_t extension_at; /* where the content of the extension begins there */
	size_t extension_size;
	bool has_ended; /* FHA_TAR_END was told */
	bool is_shown;  /* `headers` are an entry's that has been told: the next ones begin anew */
	char headers[FHA_TAR_HEADERS_SIZE];
};

FhaCode
fha_tar_open(FhaTar **out, unsigned allowed, FhaError *err)
{
	FhaTar *tar = calloc(1, sizeof(*tar));

	*out = tar;
	if (tar == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	tar->allowed = allowed & ~(unsigned) FHA_TAR_OTHER;
	tar->wanted = FHA_TAR_BLOCK;
	return FHA_OK;
}

void
fha_tar_close(FhaTar *tar)
{
	free(tar);
}

const FhaTarEntry *
fha_tar_entry(const FhaTar *tar)
{
	return &tar->entry;
}

const char *
fha_tar_headers(const FhaTar *tar, size_t *size)
{
	*size = tar->have;
	return tar->headers;
}

/* --- fields of a header */

/* Octal between blanks and NULs, or base 256 when the first bit is set.  False: neither, or it is too large or negative. */
static bool
tar_number(const char *field, size_t size, uint64_t *out)
{
	size_t i = 0;
	bool is_binary = (field[0] & 0x80) != 0;

	*out = 0;
	if (is_binary)
	{
		if ((field[0] & 0x7f) != 0)
			return false;
		for (i = 1; i < size; i++)
		{
			if (*out >> 55 != 0)
				return false;
			*out = *out << 8 | (unsigned char) field[i];
		}
		return true;
	}
	while (i < size && field[i] == ' ')
		i++;
	for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
		*out = *out << 3 | (uint64_t) (field[i] - '0');
	for (; i < size; i++)
	{
		if (field[i] != ' ' && field[i] != '\0')
			return false;
	}
	return true;
}

/* The sum of all bytes, with blanks in its own place; old programs took them as signed. */
static bool
tar_sum_is_right(const char *block)
{
	uint64_t said;
	uint64_t sum = 0;
	int64_t signed_sum = 0;

	if (!tar_number(block + TAR_SUM_AT, TAR_SUM_SIZE, &said))
		return false;
	for (size_t i = 0; i < FHA_TAR_BLOCK; i++)
	{
		char byte = i >= TAR_SUM_AT && i < TAR_SUM_AT + TAR_SUM_SIZE ? ' ' : block[i];

		sum += (unsigned char) byte;
		signed_sum += (signed char) byte;
	}
	return said == sum || (int64_t) said == signed_sum;
}

static bool
tar_is_zero(const char *block)
{
	for (size_t i = 0; i < FHA_TAR_BLOCK; i++)
	{
		if (block[i] != '\0')
			return false;
	}
	return true;
}

/* The path of `size` bytes at most at `field`, behind a prefix.  It is checked where it is complete. */
static void
tar_copy_path(char *out, const char *prefix, size_t prefix_size, const char *field, size_t size)
{
	size_t at = strnlen(prefix, prefix_size);

	memcpy(out, prefix, at);
	if (at > 0)
		out[at++] = '/';
	size = strnlen(field, size);
	memcpy(out + at, field, size);
	out[at + size] = '\0';
}

/* Make a path safe, or refuse it: "./" goes, and so do double slashes and the last one. */
static bool
tar_clean_path(char *path)
{
	char *out = path;
	const char *at = path;

	if (*at == '/')
		return false;
	while (*at != '\0')
	{
		size_t size = strcspn(at, "/");

		if (size == 2 && at[0] == '.' && at[1] == '.')
			return false;
		if (size > 0 && !(size == 1 && at[0] == '.'))
		{
			if (out > path)
				*out++ = '/';
			memmove(out, at, size);
			out += size;
		}
		at += size;
		while (*at == '/')
			at++;
	}
	*out = '\0';
	return true;
}

static FhaTarType
tar_type(char flag)
{
	switch (flag)
	{
		case '\0':
		case '0':
		case '7':
			return FHA_TAR_FILE;
		case '1':
			return FHA_TAR_LINK;
		case '2':
			return FHA_TAR_SYMLINK;
		case '5':
			return FHA_TAR_DIRECTORY;
		default:
			return FHA_TAR_OTHER;
	}
}

/* --- pax: records "LENGTH KEY=VALUE\n" */

/* Digits, then a fraction that does not count. */
static bool
pax_number(const char *value, size_t size, uint64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < size; i++)
	{
		if (value[i] == '.' && i > 0)
			return true;
		if (value[i] < '0' || value[i] > '9' || *out > UINT64_MAX / 100)
			return false;
		*out = *out * 10 + (uint64_t) (value[i] - '0');
	}
	return size > 0;
}

static bool
pax_path(const char *value, size_t size, char *out)
{
	if (size == 0 || size >= FHA_TAR_PATH_SIZE || memchr(value, '\0', size) != NULL)
		return false;
	memcpy(out, value, size);
	out[size] = '\0';
	return true;
}

static bool
pax_is(const char *key, size_t size, const char *name)
{
	return size == strlen(name) && memcmp(key, name, size) == 0;
}

/* What is not about what we write down is skipped; sparse files are not, because their content is another. */
static FhaCode
tar_pax_record(FhaTar *tar, const char *key, size_t key_size, const char *value, size_t size,
			   FhaError *err)
{
	uint64_t number = 0;
	bool is_right = true;

	if (key_size > 11 && memcmp(key, "GNU.sparse.", 11) == 0)
		return fha_error(err, FHA_INVALID, "the archive has a sparse file, which is not supported");
	if (pax_is(key, key_size, "path"))
	{
		is_right = pax_path(value, size, tar->entry.path);
		tar->has_path = true;
	}
	else if (pax_is(key, key_size, "linkpath"))
	{
		is_right = pax_path(value, size, tar->entry.link);
		tar->has_link = true;
	}
	else if (pax_is(key, key_size, "size"))
	{
		is_right = pax_number(value, size, &tar->size);
		tar->has_size = true;
	}
	else if (pax_is(key, key_size, "mtime") && size > 0 && value[0] != '-')
	{
		is_right = pax_number(value, size, &number);
		tar->modified_s = (int64_t) number;
		tar->has_time = true;
	}
	if (!is_right)
		return fha_error(err, FHA_INVALID, "damaged archive: \"%.*s\" of a pax header",
						 (int) (key_size < 40 ? key_size : 40), key);
	return FHA_OK;
}

static FhaCode
tar_pax(FhaTar *tar, const char *at, size_t size, FhaError *err)
{
	const char *end = at + size;

	while (at < end)
	{
		uint64_t length;
		const char *blank = memchr(at, ' ', (size_t) (end - at));
		const char *equals;
		FhaCode code;

		if (blank == NULL || !pax_number(at, (size_t) (blank - at), &length) ||
			length > (uint64_t) (end - at) || length < (uint64_t) (blank - at) + 3 ||
			at[length - 1] != '\n')
			return fha_error(err, FHA_INVALID, "damaged archive: a record of a pax header");
		equals = memchr(blank, '=', length - (size_t) (blank - at));
		if (equals == NULL)
			return fha_error(err, FHA_INVALID, "damaged archive: a record of a pax header");
		code = tar_pax_record(tar, blank + 1, (size_t) (equals - blank) - 1, equals + 1,
							  length - (size_t) (equals - at) - 2, err);
		if (code != FHA_OK)
			return code;
		at += length;
	}
	return FHA_OK;
}

/* --- headers */

/* GNU's long name: with a NUL behind it. */
static FhaCode
tar_long_name(const char *at, size_t size, char *out, FhaError *err)
{
	size_t length = strnlen(at, size);

	if (length == 0 || length >= FHA_TAR_PATH_SIZE)
		return fha_error(err, FHA_INVALID, "damaged archive: a long name of %zu bytes", length);
	memcpy(out, at, length);
	out[length] = '\0';
	return FHA_OK;
}

/* The extension's content is complete. */
static FhaCode
tar_extension(FhaTar *tar, FhaError *err)
{
	const char *at = tar->headers + tar->extension_at;
	char flag = tar->headers[tar->extension_at - FHA_TAR_BLOCK + TAR_TYPE_AT];

	tar->state = TAR_IN_HEADER;
	tar->wanted = tar->have + FHA_TAR_BLOCK;
	switch (flag)
	{
		case 'L':
			tar->has_path = true;
			return tar_long_name(at, tar->extension_size, tar->entry.path, err);
		case 'K':
			tar->has_link = true;
			return tar_long_name(at, tar->extension_size, tar->entry.link, err);
		case 'x':
			return tar_pax(tar, at, tar->extension_size, err);
		default:
			return FHA_OK; /* 'g': of all entries; what it may say of them we do not write down */
	}
}

static size_t
tar_padded(uint64_t size)
{
	return (size_t) ((size + FHA_TAR_BLOCK - 1) / FHA_TAR_BLOCK * FHA_TAR_BLOCK);
}

static FhaCode
tar_begin_extension(FhaTar *tar, uint64_t size, FhaError *err)
{
	/* A header of the entry itself is to follow. */
	if (size > FHA_TAR_HEADERS_SIZE ||
		tar->have + tar_padded(size) + FHA_TAR_BLOCK > FHA_TAR_HEADERS_SIZE)
		return fha_error(err, FHA_INVALID,
						 "an entry of the archive has more than %zu bytes of headers",
						 FHA_TAR_HEADERS_SIZE);
	tar->extension_at = tar->have;
	tar->extension_size = (size_t) size;
	tar->wanted = tar->have + tar_padded(size);
	tar->state = TAR_IN_EXTENSION;
	return tar->wanted == tar->have ? tar_extension(tar, err) : FHA_OK;
}

/* Paths, and whether this may be: of an entry whose fields are complete. */
static FhaCode
tar_check_entry(FhaTar *tar, FhaError *err)
{
	FhaTarEntry *entry = &tar->entry;
	char path[FHA_TAR_PATH_SIZE];

	memcpy(path, entry->path, strlen(entry->path) + 1);
	if (!tar_clean_path(entry->path) ||
		(entry->path[0] == '\0' && entry->type != FHA_TAR_DIRECTORY))
		return fha_error(err, FHA_INVALID, "the archive has an unsafe path: \"%.150s\"", path);
	if ((tar->allowed & entry->type) == 0)
		return fha_error(err, FHA_INVALID, "\"%.150s\" of the archive is no file or directory",
						 path);
	if ((entry->type & (FHA_TAR_SYMLINK | FHA_TAR_LINK)) == 0 ||
		(tar->allowed & FHA_TAR_ANY_LINK) != 0)
		return FHA_OK;
	memcpy(path, entry->link, strlen(entry->link) + 1);
	if (path[0] == '\0' || !tar_clean_path(path))
		return fha_error(err, FHA_INVALID, "\"%.100s\" of the archive leads outside: \"%.100s\"",
						 entry->path, entry->link);
	return FHA_OK;
}

static bool
tar_is_posix(const char *block)
{
	/* GNU's own, "ustar  ", has other fields where POSIX has the prefix. */
	return memcmp(block + TAR_MAGIC_AT, "ustar\0", 6) == 0;
}

static FhaCode
tar_entry(FhaTar *tar, const char *block, uint64_t size, FhaError *err)
{
	FhaTarEntry *entry = &tar->entry;
	uint64_t mode;
	uint64_t modified;

	if (!tar_number(block + TAR_MODE_AT, 8, &mode))
		mode = 0;
	if (!tar_number(block + TAR_TIME_AT, TAR_NUMBER_SIZE, &modified))
		modified = 0;
	entry->mode = (unsigned) mode & 07777;
	entry->modified_s = tar->has_time ? tar->modified_s : (int64_t) modified;
	entry->type = tar_type(block[TAR_TYPE_AT]);
	if (!tar->has_path)
		tar_copy_path(entry->path, tar_is_posix(block) ? block + TAR_PREFIX_AT : "",
					  tar_is_posix(block) ? TAR_PREFIX_SIZE : 0, block + TAR_NAME_AT,
					  TAR_NAME_SIZE);
	if (!tar->has_link)
		tar_copy_path(entry->link, "", 0, block + TAR_LINK_AT, TAR_NAME_SIZE);
	/* Before there was a type of its own. */
	if (entry->type == FHA_TAR_FILE && entry->path[0] != '\0' &&
		entry->path[strlen(entry->path) - 1] == '/')
		entry->type = FHA_TAR_DIRECTORY;
	entry->size = entry->type == FHA_TAR_FILE ? (tar->has_size ? tar->size : size) : 0;
	tar->left = entry->size;
	tar->padding =
		(unsigned) (tar_padded(entry->size % FHA_TAR_BLOCK) - entry->size % FHA_TAR_BLOCK);
	tar->has_path = tar->has_link = tar->has_size = tar->has_time = false;
	tar->state = TAR_IN_DATA;
	return tar_check_entry(tar, err);
}

/* A header's block is complete. */
static FhaCode
tar_header(FhaTar *tar, bool *is_entry, FhaError *err)
{
	const char *block = tar->headers + tar->have - FHA_TAR_BLOCK;
	uint64_t size;

	if (tar_is_zero(block))
	{
		if (tar->have > FHA_TAR_BLOCK)
			return fha_error(err, FHA_INVALID, "damaged archive: an entry has no header");
		tar->state = TAR_IN_LAST;
		return FHA_OK;
	}
	if (!tar_sum_is_right(block) || !tar_number(block + TAR_SIZE_AT, TAR_NUMBER_SIZE, &size))
		return fha_error(err, FHA_INVALID, "damaged archive, or none, behind \"%.150s\"",
						 tar->entry.path);
	switch (block[TAR_TYPE_AT])
	{
		case 'x':
		case 'g':
		case 'L':
		case 'K':
			return tar_begin_extension(tar, size, err);
		case 'S':
			return fha_error(err, FHA_INVALID,
							 "the archive has a sparse file, which is not supported");
		default:
			*is_entry = true;
			return tar_entry(tar, block, size, err);
	}
}

/* --- the way through the input */

static FhaCode
tar_gather(FhaTar *tar, const char **data, size_t *size, bool *is_entry, FhaError *err)
{
	size_t some;

	if (tar->is_shown)
	{
		tar->is_shown = false;
		tar->have = 0;
		tar->wanted = FHA_TAR_BLOCK;
	}
	some = tar->wanted - tar->have;
	some = some < *size ? some : *size;
	memcpy(tar->headers + tar->have, *data, some);
	tar->have += some;
	*data += some;
	*size -= some;
	if (tar->have < tar->wanted)
		return FHA_OK;
	return tar->state == TAR_IN_HEADER ? tar_header(tar, is_entry, err) : tar_extension(tar, err);
}

static void
tar_skip_padding(FhaTar *tar, const char **data, size_t *size)
{
	size_t some = tar->padding < *size ? tar->padding : *size;

	tar->padding -= (unsigned) some;
	*data += some;
	*size -= some;
	if (tar->padding == 0)
		tar->state = TAR_IN_HEADER;
}

static FhaCode
tar_skip_zeros(FhaTar *tar, const char **data, size_t *size, FhaError *err)
{
	for (; *size > 0; ++*data, --*size)
	{
		if (**data != '\0')
			return fha_error(err, FHA_INVALID, "damaged archive: it goes on behind its end");
		if (tar->state == TAR_IN_LAST && ++tar->zeros == FHA_TAR_BLOCK)
		{
			tar->state = TAR_AT_END;
			++*data, --*size;
			return FHA_OK;
		}
	}
	return FHA_OK;
}

/* A state that waits for input, and has some. */
static FhaCode
tar_read(FhaTar *tar, const char **data, size_t *size, FhaTarEvent *event, FhaError *err)
{
	bool is_entry = false;
	FhaCode code;

	switch (tar->state)
	{
		case TAR_IN_PADDING:
			tar_skip_padding(tar, data, size);
			return FHA_OK;
		case TAR_IN_LAST:
		case TAR_AT_END:
			code = tar_skip_zeros(tar, data, size, err);
			if (tar->state == TAR_AT_END && !tar->has_ended)
			{
				tar->has_ended = true;
				*event = FHA_TAR_END;
			}
			return code;
		default:
			code = tar_gather(tar, data, size, &is_entry, err);
			tar->is_shown = is_entry;
			if (is_entry)
				*event = FHA_TAR_ENTRY;
			return code;
	}
}

FhaCode
fha_tar_next(FhaTar *tar, const char **data, size_t *size, FhaTarEvent *event, const char **part,
			 size_t *part_size, FhaError *err)
{
	FhaCode code = FHA_OK;

	*event = FHA_TAR_MORE;
	if (tar->state == TAR_IN_DATA && tar->left == 0)
	{
		tar->state = tar->padding > 0 ? TAR_IN_PADDING : TAR_IN_HEADER;
		*event = FHA_TAR_DONE;
	}
	else if (tar->state == TAR_IN_DATA && *size > 0)
	{
		*part = *data;
		*part_size = tar->left < *size ? (size_t) tar->left : *size;
		tar->left -= *part_size;
		*data += *part_size;
		*size -= *part_size;
		*event = FHA_TAR_DATA;
	}
	else
	{
		while (code == FHA_OK && *event == FHA_TAR_MORE && *size > 0)
			code = tar_read(tar, data, size, event, err);
	}
	if (code != FHA_OK && err != NULL)
		fha_tame(err->text);
	return code;
}

FhaCode
fha_tar_finish(const FhaTar *tar, FhaError *err)
{
	if (tar->state == TAR_AT_END)
		return FHA_OK;
	return fha_error(err, FHA_INVALID, "the archive ends too early, %s \"%.150s\"",
					 tar->state == TAR_IN_DATA ? "in" : "behind", tar->entry.path);
}
