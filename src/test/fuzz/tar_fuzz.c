/*
 * tar_fuzz.c: an archive, read and filtered.
 *
 * The first byte tells in which cuts it comes; what is read does not depend on them.  Paths and links are safe, and what the filter
 * lets through is an archive, with backup_label at its end.
 */
#include "test/fuzz/fuzz.h"

#include "backup/tar.h"
#include "backup/tar_filter.h"

#define EVERYTHING (FHA_TAR_FILE | FHA_TAR_DIRECTORY | FHA_TAR_SYMLINK | FHA_TAR_LINK)

/* What was read: a sum over events, paths and contents. */
typedef struct Sum
{
	uint64_t value;
	unsigned entries;
	char last[FHA_TAR_PATH_SIZE];
	FhaCode code;
} Sum;

static void
add(Sum *sum, const void *data, size_t size)
{
	const unsigned char *at = data;

	for (size_t i = 0; i < size; i++)
		sum->value = (sum->value ^ at[i]) * 0x100000001b3u;
}

static void
must_be_safe(const char *path)
{
	FUZZ_MUST(path[0] != '/');
	while (*path != '\0')
	{
		size_t size = strcspn(path, "/");

		FUZZ_MUST(!(size == 2 && path[0] == '.' && path[1] == '.'));
		path += size + (path[size] == '/');
	}
}

static void
see_entry(Sum *sum, const FhaTar *tar)
{
	const FhaTarEntry *entry = fha_tar_entry(tar);
	size_t headers;

	must_be_safe(entry->path);
	FUZZ_MUST((entry->type & EVERYTHING) != 0);
	FUZZ_MUST(entry->type == FHA_TAR_FILE || entry->size == 0);
	FUZZ_MUST(entry->type != FHA_TAR_FILE || entry->path[0] != '\0');
	if (entry->type == FHA_TAR_SYMLINK || entry->type == FHA_TAR_LINK)
		must_be_safe(entry->link);
	FUZZ_MUST(fha_tar_headers(tar, &headers) != NULL);
	FUZZ_MUST(headers > 0 && headers <= FHA_TAR_HEADERS_SIZE && headers % FHA_TAR_BLOCK == 0);
	add(sum, entry->path, strlen(entry->path) + 1);
	add(sum, entry->link, strlen(entry->link) + 1);
	add(sum, &entry->size, sizeof(entry->size));
	add(sum, &entry->type, sizeof(entry->type));
	sum->entries++;
	(void) snprintf(sum->last, sizeof(sum->last), "%s", entry->path);
}

static Sum
read_all(const char *data, size_t size, size_t cut)
{
	Sum sum = {.code = FHA_OK};
	FhaTar *tar;
	FhaError err = {.text = ""};

	FUZZ_NEEDS(fha_tar_open(&tar, EVERYTHING, &err) == FHA_OK);
	for (size_t at = 0; at < size && sum.code == FHA_OK; at += cut)
	{
		const char *from = data + at;
		size_t left = cut < size - at ? cut : size - at;
		FhaTarEvent event = FHA_TAR_DONE;

		while (sum.code == FHA_OK && event != FHA_TAR_MORE)
		{
			const char *part;
			size_t part_size;

			sum.code = fha_tar_next(tar, &from, &left, &event, &part, &part_size, &err);
			if (sum.code == FHA_OK && event == FHA_TAR_ENTRY)
				see_entry(&sum, tar);
			if (sum.code == FHA_OK && event == FHA_TAR_DATA)
				add(&sum, part, part_size);
		}
		FUZZ_MUST(sum.code != FHA_OK || left == 0);
	}
	if (sum.code == FHA_OK)
		sum.code = fha_tar_finish(tar, &err);
	FUZZ_MUST(sum.code == FHA_OK || (sum.code == FHA_INVALID && err.text[0] != '\0'));
	fha_tar_close(tar);
	return sum;
}

/* NULL: it is refused. */
static char *
filter_all(const char *data, size_t size, bool is_data_directory, size_t *out_size)
{
	const FhaTarFilterSettings settings = {.is_data_directory = is_data_directory};
	char *out = malloc(size + FHA_TAR_BLOCK * 4);
	FhaStream *stream;
	FhaError err;
	FhaCode code = FHA_OK;
	size_t at = 0;

	*out_size = 0;
	FUZZ_NEEDS(out != NULL && fha_tar_filter_open(&stream, &settings, &err) == FHA_OK);
	for (;;)
	{
		const char *made;
		size_t some = 0;

		if (at < size)
			code = fha_stream_write(stream, data + at, size - at, &some, &err);
		else
			code = fha_stream_finish(stream, &err);
		at += some;
		if (code == FHA_OK)
			code = fha_stream_look(stream, &made, &some, &err);
		if ((code != FHA_OK && code != FHA_AGAIN) || (code == FHA_OK && some == 0))
			break;
		if (code == FHA_AGAIN)
			continue;
		FUZZ_MUST(*out_size + some <= size + FHA_TAR_BLOCK * 4);
		memcpy(out + *out_size, made, some);
		*out_size += some;
		fha_stream_drop(stream, some);
	}
	fha_stream_close(stream);
	if (code == FHA_OK)
		return out;
	free(out);
	return NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *archive = (const char *) data + 1;
	Sum whole;
	Sum cut;
	char *stored;
	size_t stored_size;

	if (size < 1)
		return 0;
	size--;
	whole = read_all(archive, size, size + 1);
	cut = read_all(archive, size, (size_t) data[0] * 3 + 1);
	FUZZ_MUST(whole.code == cut.code && whole.value == cut.value && whole.entries == cut.entries);

	stored = filter_all(archive, size, true, &stored_size);
	if (stored != NULL)
	{
		Sum again = read_all(stored, stored_size, stored_size);

		FUZZ_MUST(again.code == FHA_OK && strcmp(again.last, "backup_label") == 0);
		free(stored);
	}
	stored = filter_all(archive, size, false, &stored_size);
	if (stored != NULL)
	{
		FUZZ_MUST(whole.code == FHA_OK);
		FUZZ_MUST(read_all(stored, stored_size, stored_size).value == whole.value);
		free(stored);
	}
	return 0;
}
