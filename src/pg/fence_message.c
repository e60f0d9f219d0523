/*
 * fence_message.c: errors on a server that may show nothing.  See fence_message.h.
 *
 * An error tells what the server contains: "Key (k)=(77) already exists", "invalid input syntax for
 * type integer: \"a row\"".  A client that believes the first concludes that its insert is done.
 */
#include "postgres.h"

#include "pg/fence_message.h"

/* Longer than any text of ours; of PostgreSQL's longest word for a severity a part will do. */
#define FIELD_SIZE 256

/* The text of a field; NULL: there is none. */
static const char *
message_field(const char *body, size_t size, char wanted)
{
	const char *at = body;
	const char *end = body + size;

	while (at < end && *at != '\0')
	{
		if (*at == wanted)
			return at + 1;
		at += 1 + strnlen(at + 1, end - at - 1) + 1;
	}
	return NULL;
}

static bool
field_is(const char *text, const char *wanted)
{
	return text != NULL && strcmp(text, wanted) == 0;
}

static size_t
message_put(char *out, size_t used, char name, const char *text)
{
	if (text == NULL || used + FIELD_SIZE + 2 > FENCE_MESSAGE_SIZE)
		return used;
	out[used++] = name;
	strlcpy(out + used, text, FIELD_SIZE);
	return used + strlen(out + used) + 1;
}

/* By its place in the source, which no procedural language can give to an error of its own. */
static bool
is_refusal(const char *body, size_t size)
{
	return field_is(message_field(body, size, 'F'), "fence.c") &&
		   field_is(message_field(body, size, 'R'), "fence_raise_refusal");
}

/* An order to the connection (57P01 and its kin) has a text of its own and nothing of any row. */
static bool
ends_session(const char *body, size_t size)
{
	const char *code = message_field(body, size, 'C');

	return field_is(message_field(body, size, 'V'), "FATAL") && code != NULL &&
		   strncmp(code, "57", 2) == 0;
}

size_t
fence_message_hide(const char *body, size_t size, char out[FENCE_MESSAGE_SIZE])
{
	bool ours = is_refusal(body, size);
	bool passes = ours || ends_session(body, size);
	size_t used = 0;

	used = message_put(out, used, 'S', message_field(body, size, 'S'));
	used = message_put(out, used, 'V', message_field(body, size, 'V'));
	if (passes)
	{
		used = message_put(out, used, 'C', message_field(body, size, 'C'));
		used = message_put(out, used, 'M', message_field(body, size, 'M'));
		/* Never the context: it has the text of the statement that a function ran. */
		used = message_put(out, used, 'D', ours ? message_field(body, size, 'D') : NULL);
		used = message_put(out, used, 'H', ours ? message_field(body, size, 'H') : NULL);
	}
	else
	{
		used = message_put(out, used, 'C', "25006");
		used = message_put(out, used, 'M',
						   "cannot show an error: this server may not act as the primary");
		used = message_put(out, used, 'D', "Its lease on the cluster is not known to be valid.");
		used =
			message_put(out, used, 'H',
						"Reconnect; the cluster's primary is elsewhere or not yet admitted. This "
						"server's log has the error.");
	}
	out[used++] = '\0';
	return used;
}
