/*
 * tame.c: text of others, before a person's terminal or a log gets it.  See tame.h.
 */
#include "base/tame.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Bytes of the character that begins here, and which one it is; 0: it is none. */
static size_t
tame_decode(const unsigned char *at, uint32_t *character)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = at[0] < 0x80             ? 1
					: (at[0] & 0xE0) == 0xC0 ? 2
					: (at[0] & 0xF0) == 0xE0 ? 3
					: (at[0] & 0xF8) == 0xF0 ? 4
											 : 0;

	*character = length < 2 ? at[0] : (uint32_t) at[0] & (0x7Fu >> length);
	for (size_t i = 1; i < length; i++)
	{
		if ((at[i] & 0xC0) != 0x80)
			return 0;
		*character = *character << 6 | (at[i] & 0x3F);
	}
	return length == 0 || *character < least[length] || *character > 0x10FFFF ||
				   (*character >= 0xD800 && *character <= 0xDFFF)
			   ? 0
			   : length;
}

size_t
fha_utf8_length(const char *at)
{
	uint32_t character;

	return tame_decode((const unsigned char *) at, &character);
}

static bool
is_wild(uint32_t character)
{
	return character < 0x20 || (character >= 0x7F && character < 0xA0) || /* C0, DEL, C1 */
		   (character >= 0x200B && character <= 0x200F) ||                /* of no width, marks */
		   (character >= 0x2028 && character <= 0x202E) ||                /* lines, directions */
		   (character >= 0x2060 && character <= 0x206F) ||                /* directions */
		   character == 0x061C || character == 0xFEFF ||
		   (character >= 0xFFF9 && character <= 0xFFFB) ||
		   (character >= 0xE0000 && character <= 0xE007F);
}

void
fha_tame(char *text)
{
	unsigned char *at = (unsigned char *) text;

	while (*at != '\0')
	{
		uint32_t character;
		size_t length = tame_decode(at, &character);

		if (length == 0 || is_wild(character))
		{
			length = length == 0 ? 1 : length;
			memset(at, '?', length);
		}
		at += length;
	}
}

void
fha_utf8_mend(char *text)
{
	for (char *at = text; *at != '\0';)
	{
		size_t length = fha_utf8_length(at);

		if (length == 0)
			*at = '?';
		at += length == 0 ? 1 : length;
	}
}

void
fha_copy_printable(char *out, size_t room, const char *text, size_t size)
{
	size_t used = 0;

	while (used < size && used + 1 < room)
	{
		out[used] = text[used];
		if (out[used] < ' ' || out[used] > '~')
			out[used] = out[used] == '\n' ? ' ' : '?';
		used++;
	}
	while (used > 0 && out[used - 1] == ' ')
		used--;
	out[used] = '\0';
}
