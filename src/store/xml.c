/*
 * xml.c: see store/xml.h.
 */
#include "store/xml.h"

#include <stdlib.h>
#include <string.h>

#include <expat.h>
#include <openssl/crypto.h>

typedef struct XmlState
{
	XML_Parser parser;
	const FhaXmlReader *reader;
	size_t depth;
	size_t path_length;
	char path[FHA_XML_PATH_SIZE];
	size_t text_length[FHA_XML_DEPTH_MAX];
	char (*texts)[FHA_XML_TEXT_SIZE]; /* one for each depth */
	FhaCode code;                     /* OK, or what ended it */
	FhaError *err;
} XmlState;

static void
xml_stop(XmlState *state, const char *why)
{
	if (state->code == FHA_OK)
		state->code = fha_error(state->err, FHA_PROTOCOL, "the answer's XML %s", why);
	(void) XML_StopParser(state->parser, XML_FALSE);
}

static void XMLCALL
xml_begin(void *argument, const char *name, const char **attributes)
{
	XmlState *state = argument;
	const char *colon = strrchr(name, ':');
	size_t length;

	if (state->code != FHA_OK)
		return; /* LCOV_EXCL_LINE: expat may call once more */
	if (colon != NULL)
		name = colon + 1;
	length = strlen(name);
	if (state->depth == FHA_XML_DEPTH_MAX || state->path_length + 1 + length >= sizeof(state->path))
	{
		xml_stop(state, "is nested too deep");
		return;
	}
	if (state->depth > 0)
	{
		/* What stands before an inner element is white space, perhaps of a thousand lines. */
		state->text_length[state->depth - 1] = 0;
		state->path[state->path_length++] = '/';
	}
	memcpy(state->path + state->path_length, name, length + 1);
	state->path_length += length;
	state->text_length[state->depth++] = 0;
	if (state->reader->begin != NULL)
		state->reader->begin(state->reader->owner, state->path, (const char *const *) attributes);
}

static void XMLCALL
xml_end(void *argument, const char *name)
{
	XmlState *state = argument;
	char *slash;
	char *text;

	(void) name;
	if (state->code != FHA_OK)
		return; /* LCOV_EXCL_LINE: expat may call once more */
	text = state->texts[--state->depth];
	text[state->text_length[state->depth]] = '\0';
	state->reader->end(state->reader->owner, state->path, text);
	slash = strrchr(state->path, '/');
	state->path_length = slash == NULL ? 0 : (size_t) (slash - state->path);
	state->path[state->path_length] = '\0';
}

static void XMLCALL
xml_text(void *argument, const char *text, int size)
{
	XmlState *state = argument;
	size_t *length;

	if (state->code != FHA_OK)
		return; /* LCOV_EXCL_LINE: expat may call once more */
	length = &state->text_length[state->depth - 1];
	if (*length + (size_t) size >= FHA_XML_TEXT_SIZE)
	{
		xml_stop(state, "has a text that is too long");
		return;
	}
	memcpy(state->texts[state->depth - 1] + *length, text, (size_t) size);
	*length += (size_t) size;
}

static void XMLCALL
xml_doctype(void *argument, const char *name, const char *system, const char *public, int internal)
{
	(void) name;
	(void) system;
	(void) public;
	(void) internal;
	xml_stop(argument, "has a DOCTYPE, which no store sends");
}

FhaCode
fha_xml_read(const char *data, size_t size, const FhaXmlReader *reader, FhaError *err)
{
	XmlState state = {.reader = reader, .code = FHA_OK, .err = err};
	enum XML_Status status;

	if (size > FHA_XML_SIZE_MAX)
		return fha_error(err, FHA_PROTOCOL, "the answer's XML is too long");
	state.parser = XML_ParserCreate(NULL);
	state.texts = malloc(FHA_XML_DEPTH_MAX * sizeof(*state.texts));
	if (state.parser == NULL || state.texts == NULL)
	{
		/* LCOV_EXCL_START: no memory */
		if (state.parser != NULL)
			XML_ParserFree(state.parser);
		free(state.texts);
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
		/* LCOV_EXCL_STOP */
	}
	XML_SetUserData(state.parser, &state);
	XML_SetElementHandler(state.parser, xml_begin, xml_end);
	XML_SetCharacterDataHandler(state.parser, xml_text);
	XML_SetStartDoctypeDeclHandler(state.parser, xml_doctype);
	status = XML_Parse(state.parser, data, (int) size, XML_TRUE);
	if (status != XML_STATUS_OK && state.code == FHA_OK)
		state.code = fha_error(err, FHA_PROTOCOL, "the answer is no whole XML: %s",
							   XML_ErrorString(XML_GetErrorCode(state.parser)));
	XML_ParserFree(state.parser);
	/* Credentials come in XML, too. */
	OPENSSL_cleanse(state.texts, FHA_XML_DEPTH_MAX * sizeof(*state.texts));
	free(state.texts);
	return state.code;
}

void
fha_xml_add(FhaText *to, const char *text)
{
	for (; *text != '\0'; text++)
		switch (*text)
		{
			case '&':
				fha_text_add(to, "&amp;");
				break;
			case '<':
				fha_text_add(to, "&lt;");
				break;
			case '>':
				fha_text_add(to, "&gt;");
				break;
			case '"':
				fha_text_add(to, "&quot;");
				break;
			/* A reader makes one line feed of them. */
			case '\r':
				fha_text_add(to, "&#13;");
				break;
			case '\n':
				fha_text_add(to, "&#10;");
				break;
			default:
				fha_text_add_bytes(to, text, 1);
		}
}

/* How many bytes one character of UTF-8 has; 0: it is none, or none of XML's. */
static size_t
utf8_length(const unsigned char *at)
{
	size_t length = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	unsigned code = length < 2 ? at[0] : at[0] & (0x7fu >> length);

	if (at[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < length; i++)
	{
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (at[i] & 0x3fu);
	}
	if ((length == 3 && code < 0x800) || (length == 4 && (code < 0x10000 || code > 0x10ffff)) ||
		(code >= 0xd800 && code < 0xe000) || code == 0xfffe || code == 0xffff ||
		(code < ' ' && code != '\t' && code != '\n' && code != '\r'))
		return 0;
	return length;
}

bool
fha_xml_can_hold(const char *text)
{
	const unsigned char *at = (const unsigned char *) text;

	while (*at != '\0')
	{
		size_t length = utf8_length(at);

		if (length == 0)
			return false;
		at += length;
	}
	return true;
}
