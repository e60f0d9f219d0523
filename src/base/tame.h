/*
 * tame.h: text of others, before a person's terminal or a log gets it.
 */
#ifndef FHA_BASE_TAME_H
#define FHA_BASE_TAME_H

#include <stddef.h>

#include "core/api.h"

/*
 * In place, byte for byte: what would steer a terminal, begin another line, turn the direction of
 * writing or is no UTF-8 becomes '?'.  What is printed of a record, a reason or a role's name could
 * else repaint the screen and forge lines.
 */
FHA_API void fha_tame(char *text);

/*
 * What a server said, for a sentence of ours: ASCII in one line.  A line's end becomes a blank, all else '?';
 * blanks at the end go.  What does not fit in `room`, which has the NUL in it, is cut.
 */
void fha_copy_printable(char *out, size_t room, const char *text, size_t size);

/* Bytes of the UTF-8 character that begins at `at`, 1 to 4; 0: none does. */
FHA_API size_t fha_utf8_length(const char *at);

/* In place, byte for byte: what is no UTF-8 becomes '?'. */
FHA_API void fha_utf8_mend(char *text);

#endif
