/*
 * page.h: the status page's files, as they are served.
 *
 * They lie in src/show/page and are built into the library.  Nothing of them comes from anywhere
 * else, and the Content-Security-Policy lets nothing else in.
 */
#ifndef FHA_SHOW_PAGE_H
#define FHA_SHOW_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/api.h"
#include "http/server.h"

typedef struct FhaPageFile
{
	const char *path;
	const char *type; /* Content-Type */
	const char *body; /* static, without a NUL at its end */
	size_t size;
} FhaPageFile;

/* The file of a path ("/", "/page.css", ...); false: there is none. */
FHA_API bool fha_page_file(const char *path, FhaPageFile *out);

/* The headers that go with each of them, and with /status; the last one's name is NULL. */
FHA_API const FhaHttpHeader *fha_page_headers(void);

#endif
