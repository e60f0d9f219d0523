/*
 * text.c: see store/text.h.
 */
#include "store/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#define FIRST_ROOM 256

/* Room for `more` bytes and a NUL. */
static bool
text_grow(FhaText *text, size_t more)
{
	size_t room = text->room == 0 ? FIRST_ROOM : text->room;
	char *larger;

	if (text->failed)
		return false; /* LCOV_EXCL_LINE: no memory */
	while (room - text->size <= more)
		room *= 2;
	if (room == text->room)
		return true;
	/* No realloc: what it leaves behind would not be overwritten. */
	larger = malloc(room);
	if (larger == NULL)
	{
		/* LCOV_EXCL_START: no memory */
		text->failed = true;
		return false;
		/* LCOV_EXCL_STOP */
	}
	if (text->data != NULL)
	{
		memcpy(larger, text->data, text->size);
		OPENSSL_cleanse(text->data, text->room);
		free(text->data);
	}
	text->data = larger;
	text->room = room;
	return true;
}

void
fha_text_add_bytes(FhaText *text, const void *more, size_t size)
{
	if (!text_grow(text, size))
		return; /* LCOV_EXCL_LINE: no memory */
	if (size > 0)
		memcpy(text->data + text->size, more, size);
	text->size += size;
	text->data[text->size] = '\0';
}

void
fha_text_add(FhaText *text, const char *more)
{
	fha_text_add_bytes(text, more, strlen(more));
}

void
fha_text_add_format(FhaText *text, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0 || !text_grow(text, (size_t) length))
		return; /* LCOV_EXCL_LINE: no memory */
	va_start(args, format);
	(void) vsnprintf(text->data + text->size, (size_t) length + 1, format, args);
	va_end(args);
	text->size += (size_t) length;
}

const char *
fha_text_string(const FhaText *text)
{
	return text->data == NULL ? "" : text->data;
}

void
fha_text_clear(FhaText *text)
{
	if (text->data != NULL)
	{
		OPENSSL_cleanse(text->data, text->size);
		text->data[0] = '\0';
	}
	text->size = 0;
	text->failed = false;
}

void
fha_text_release(FhaText *text)
{
	if (text->data != NULL)
		OPENSSL_cleanse(text->data, text->room);
	free(text->data);
	memset(text, 0, sizeof(*text));
}
