/*
 * text.h: a text that grows, for urls, canonical requests and bodies.
 *
 * What it had is overwritten before it is freed, because signed texts and tokens pass through it.  A
 * failure is remembered: the caller adds all of it, and asks once.
 */
#ifndef FHA_STORE_TEXT_H
#define FHA_STORE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/api.h"

typedef struct FhaText
{
	char *data; /* with a NUL behind `size` bytes; NULL: nothing was added */
	size_t size;
	size_t room;
	bool failed; /* no memory, once */
} FhaText;

void fha_text_add(FhaText *text, const char *more);
void fha_text_add_bytes(FhaText *text, const void *more, size_t size);
void fha_text_add_format(FhaText *text, const char *format, ...) FHA_PRINTF(2, 3);

/* "" if nothing was added. */
const char *fha_text_string(const FhaText *text);

/* As it was before the first addition, its room kept. */
void fha_text_clear(FhaText *text);
void fha_text_release(FhaText *text);

#endif
