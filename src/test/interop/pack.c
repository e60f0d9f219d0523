/*
 * pack.c: standard input through streams of src/backup to standard output, for test/test_backup_streams.py.
 *
 *     pack STREAM [ARGUMENT...] [+ STREAM ...]
 *
 *     compress NAME LEVEL WORKERS   decompress NAME
 *     filter data|tablespace        list (lines of an archive's entries; the last one)
 *     seal KEYS OBJECT              unseal KEYS OBJECT
 *
 * What goes wrong is said on standard error, with exit status 1.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backup/compress.h"
#include "backup/seal.h"
#include "backup/tar_filter.h"

/* Then it tries without being told. */
#define STUCK_MS 60000

static FhaError err;

static void
must(FhaCode code)
{
	if (code == FHA_OK)
		return;
	(void) fprintf(stderr, "%s\n", err.text);
	exit(1);
}

static FhaCompression
compression_of(const char *name)
{
	for (int i = FHA_COMPRESSION_NONE; i <= FHA_COMPRESSION_LZ4; i++)
	{
		if (strcmp(name, fha_compression_name((FhaCompression) i)) == 0)
			return (FhaCompression) i;
	}
	(void) fprintf(stderr, "no such compression: %s\n", name);
	exit(2);
}

static FhaStream *
stream_of(char **words)
{
	FhaStream *stream = NULL;
	FhaSealKeys keys;

	if (strcmp(words[0], "compress") == 0)
		must(fha_compress_open(&stream, compression_of(words[1]), atoi(words[2]),
							   (unsigned) atoi(words[3]), &err));
	else if (strcmp(words[0], "decompress") == 0)
		must(fha_decompress_open(&stream, compression_of(words[1]), &err));
	else if (strcmp(words[0], "filter") == 0)
		must(fha_tar_filter_open(
			&stream, &(FhaTarFilterSettings){.is_data_directory = strcmp(words[1], "data") == 0},
			&err));
	else
	{
		must(fha_seal_keys_read(&keys, words[1], &err));
		if (strcmp(words[0], "seal") == 0)
			must(fha_seal_open(&stream, &keys.keys[0], words[2], &err));
		else
			must(fha_unseal_open(&stream, &keys, words[2], &err));
	}
	return stream;
}

/* --- the end of the chain */

static void
put(const char *data, size_t size)
{
	while (size > 0)
	{
		ssize_t put = write(STDOUT_FILENO, data, size);

		if (put <= 0)
			exit(1);
		data += put;
		size -= (size_t) put;
	}
}

/* NULL: bytes go out as they are. */
static FhaTar *tar;

static void
list(const char *data, size_t size)
{
	FhaTarEvent event = FHA_TAR_DONE;
	const char *part;
	size_t part_size;

	while (event != FHA_TAR_MORE)
	{
		must(fha_tar_next(tar, &data, &size, &event, &part, &part_size, &err));
		if (event == FHA_TAR_ENTRY)
		{
			const FhaTarEntry *entry = fha_tar_entry(tar);

			(void) printf("%d\t%llu\t%o\t%lld\t%s\t%s\n", (int) entry->type,
						  (unsigned long long) entry->size, entry->mode,
						  (long long) entry->modified_s, entry->path, entry->link);
		}
	}
}

/* True: it is at its end. */
static bool
drain(FhaStream *stream)
{
	for (;;)
	{
		const char *data;
		size_t size;
		FhaCode code = fha_stream_look(stream, &data, &size, &err);

		if (code == FHA_AGAIN)
			return false;
		must(code);
		if (size == 0)
			return true;
		if (tar != NULL)
			list(data, size);
		else
			put(data, size);
		fha_stream_drop(stream, size);
	}
}

static void
run(FhaStream *stream)
{
	static char buffer[65536];
	struct pollfd got_on = {.fd = fha_stream_fd(stream), .events = POLLIN};
	ssize_t size;

	while ((size = read(STDIN_FILENO, buffer, sizeof(buffer))) > 0)
	{
		size_t at = 0;

		while (at < (size_t) size)
		{
			size_t taken;

			(void) drain(stream);
			must(fha_stream_write(stream, buffer + at, (size_t) size - at, &taken, &err));
			at += taken;
			if (taken == 0)
				(void) poll(&got_on, 1, STUCK_MS);
		}
	}
	must(fha_stream_finish(stream, &err));
	while (!drain(stream))
		(void) poll(&got_on, 1, STUCK_MS);
}

int
main(int argc, char **argv)
{
	FhaStream *links[FHA_CHAIN_MAX];
	FhaStream *stream;
	size_t count = 0;
	int at = 1;

	while (at < argc && count < FHA_CHAIN_MAX)
	{
		if (strcmp(argv[at], "list") == 0)
			must(fha_tar_open(
				&tar, FHA_TAR_FILE | FHA_TAR_DIRECTORY | FHA_TAR_SYMLINK | FHA_TAR_LINK, &err));
		else
			links[count++] = stream_of(argv + at);
		while (at < argc && strcmp(argv[at], "+") != 0)
			at++;
		at++;
	}
	if (count == 0)
		must(fha_decompress_open(&links[count++], FHA_COMPRESSION_NONE, &err));
	must(fha_chain_open(&stream, links, count, &err));
	run(stream);
	if (tar != NULL)
		must(fha_tar_finish(tar, &err));
	fha_tar_close(tar);
	fha_stream_close(stream);
	return 0;
}
