/*
 * fuzz.h: what the fuzz targets share.
 *
 * A target is one file, NAME_fuzz.c, with its inputs in corpus/NAME: `make fuzz` finds both.  Its
 * LLVMFuzzerTestOneInput gives the bytes to one of our parsers and holds the result against what
 * the parser promises.  An input that once broke something stays in the corpus.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise of the parser; a breach ends the run, and the input is kept. */
#define FUZZ_MUST(condition)                                                               \
	do                                                                                     \
	{                                                                                      \
		if (!(condition))                                                                  \
		{                                                                                  \
			(void) fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                       \
		}                                                                                  \
	} while (0)

/* As FUZZ_MUST, for what has to work before anything can be tested. */
#define FUZZ_NEEDS FUZZ_MUST

/* The input as a string of its own; free it.  Of what stands behind a NUL nothing is seen. */
static inline char *
fuzz_string(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	FUZZ_NEEDS(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

static char fuzz_root[64];

static inline void
fuzz_remove_root(void)
{
	char command[96];

	(void) snprintf(command, sizeof(command), "rm -rf '%s'", fuzz_root);
	(void) !system(command);
}

/* An empty directory, the same one in each call, gone at the end; in memory if that can be. */
static inline const char *
fuzz_directory(void)
{
	if (fuzz_root[0] == '\0')
	{
		(void) snprintf(fuzz_root, sizeof(fuzz_root), "%s/fha-fuzz-XXXXXX",
						access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
		FUZZ_NEEDS(mkdtemp(fuzz_root) != NULL);
		FUZZ_NEEDS(atexit(fuzz_remove_root) == 0);
	}
	return fuzz_root;
}

/* <root>/<name> with these bytes.  The path stays until the next call. */
static inline const char *
fuzz_file(const char *name, const void *data, size_t size)
{
	static char path[256];
	FILE *file;

	(void) snprintf(path, sizeof(path), "%s/%s", fuzz_directory(), name);
	file = fopen(path, "we");
	FUZZ_NEEDS(file != NULL);
	FUZZ_NEEDS(fwrite(data, 1, size, file) == size);
	FUZZ_NEEDS(fclose(file) == 0);
	return path;
}

static inline void
fuzz_make_directory(const char *name)
{
	char path[256];

	(void) snprintf(path, sizeof(path), "%s/%s", fuzz_directory(), name);
	FUZZ_NEEDS(mkdir(path, 0700) == 0);
}

#endif
