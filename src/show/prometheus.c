/*
 * prometheus.c: metrics as Prometheus' text format.  See prometheus.h.
 */
#include "show/prometheus.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/tame.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
#define DIGITS "0123456789"

struct FhaSeries
{
	char *text; /* "family\0suffix\0type\0help\0labels", in one piece */
	const char *suffix, *type, *help, *labels;
	size_t order;
	double value;
};

static bool
is_name(const char *text, const char *more)
{
	char allowed[sizeof(NAME_CHARS) + 2];
	size_t length = strlen(text);

	(void) snprintf(allowed, sizeof(allowed), "%s%s", NAME_CHARS, more);
	if (strspn(text, allowed) == 0)
		return false;
	for (size_t i = 1; i < length; i++)
		if (strchr(allowed, text[i]) == NULL && strchr(DIGITS, text[i]) == NULL)
			return false;
	return true;
}

/*
 * The next character of a text, escaped, into out; its bytes are counted in *length.  Returns where
 * the text goes on.  A byte that is no UTF-8 becomes '?': Prometheus would refuse the whole page,
 * and the name of a database or role has the bytes that its maker's encoding gave it.
 */
static const char *
escape_character(char out[4], size_t *length, const char *text, bool quotes)
{
	size_t bytes = fha_utf8_length(text);

	*length = 0;
	if (*text == '\\' || *text == '\n' || (quotes && *text == '"'))
		out[(*length)++] = '\\';
	if (bytes <= 1)
		out[(*length)++] = bytes == 0 ? '?' : *text == '\n' ? 'n' : *text;
	else
	{
		memcpy(out, text, bytes);
		*length = bytes;
	}
	return text + (bytes == 0 ? 1 : bytes);
}

/* Escaped into out; false when it does not fit.  *used goes on. */
static bool
label_escape(char *out, size_t size, size_t *used, const char *text)
{
	while (*text != '\0')
	{
		char character[4];
		size_t length;

		text = escape_character(character, &length, text, true);
		if (length >= size - *used)
			return false;
		memcpy(out + *used, character, length);
		*used += length;
	}
	out[*used] = '\0';
	return true;
}

FhaCode
fha_prometheus_label(char *out, size_t size, const char *name, const char *value, FhaError *err)
{
	size_t before = strlen(out);
	size_t used = before;
	int length;

	if (!is_name(name, ""))
		return fha_error(err, FHA_INVALID, "\"%.60s\" cannot be the name of a label", name);
	length = snprintf(out + used, size - used, "%s%s=\"", used == 0 ? "" : ",", name);
	if (length > 0 && (size_t) length < size - used)
	{
		used += (size_t) length;
		if (label_escape(out, size, &used, value) && used + 2 <= size)
		{
			memcpy(out + used, "\"", 2);
			return FHA_OK;
		}
	}
	out[before] = '\0';
	return fha_error(err, FHA_INVALID, "the labels are longer than %zu bytes", size);
}

static const char *
put_part(char **at, const char *text)
{
	char *start = *at;
	size_t size = strlen(text) + 1;

	memcpy(start, text, size);
	*at += size;
	return start;
}

static bool
page_make_room(FhaPrometheus *page)
{
	size_t room = page->room == 0 ? 512 : 2 * page->room;
	FhaSeries *grown;

	if (page->count < page->room)
		return true;
	grown = realloc(page->series, room * sizeof(*grown));
	if (grown == NULL)
		return false;
	page->series = grown;
	page->room = room;
	return true;
}

static void
page_add(FhaPrometheus *page, const char *family, const char *suffix, const char *type,
		 const char *help, const char *labels, double value)
{
	size_t size =
		strlen(family) + strlen(suffix) + strlen(type) + strlen(help) + strlen(labels) + 5;
	FhaSeries *series;
	char *at;

	if (!is_name(family, ":"))
	{
		page->refused++;
		return;
	}
	at = page->count < FHA_SERIES_MAX && size <= FHA_SERIES_BYTES_MAX - page->bytes &&
				 page_make_room(page)
			 ? malloc(size)
			 : NULL;
	if (at == NULL)
	{
		page->overflow++;
		return;
	}
	series = &page->series[page->count];
	series->text = at;
	(void) put_part(&at, family);
	series->suffix = put_part(&at, suffix);
	series->type = put_part(&at, type);
	series->help = put_part(&at, help);
	series->labels = put_part(&at, labels);
	series->order = page->count++;
	series->value = value;
	page->bytes += size;
}

void
fha_prometheus_add(FhaPrometheus *page, const char *name, const char *type, const char *help,
				   const char *labels, double value)
{
	bool typed = strcmp(type, "counter") == 0 || strcmp(type, "gauge") == 0;

	page_add(page, name, "", typed ? type : "untyped", help, labels, value);
}

void
fha_prometheus_metric(void *page, const FhaMetric *metric)
{
	FhaPrometheus *into = page;
	char labels[1024] = "";

	for (size_t i = 0; i < metric->label_count; i++)
		if (fha_prometheus_label(labels, sizeof(labels), metric->labels[i].name,
								 metric->labels[i].value, NULL) != FHA_OK)
		{
			into->refused++;
			return;
		}
	page_add(into, metric->family, metric->suffix, metric->type, metric->help, labels,
			 metric->value);
}

/* By family, and within it as they came: a histogram's buckets stay in their order. */
static int
by_family(const void *a, const void *b)
{
	const FhaSeries *one = a;
	const FhaSeries *other = b;
	int difference = strcmp(one->text, other->text);

	if (difference != 0)
		return difference;
	return one->order < other->order ? -1 : 1;
}

/* Every series once: the first stays.  A table of the places of those that were seen, open addressing. */
static bool
drop_repeated(FhaPrometheus *page)
{
	size_t slots = 1024;
	size_t kept = 0;
	size_t *table;

	while (slots < 2 * page->count)
		slots *= 2;
	table = calloc(slots, sizeof(*table));
	if (table == NULL)
		return false;
	for (size_t i = 0; i < page->count; i++)
	{
		FhaSeries series = page->series[i];
		const char *const parts[] = {series.text, series.suffix, series.labels};
		uint64_t hash = 14695981039346656037u; /* FNV-1a */
		bool repeated = false;
		size_t slot;

		for (size_t part = 0; part < 3; part++)
			for (const char *c = parts[part]; *c != '\0'; c++)
				hash = (hash ^ (unsigned char) *c) * 1099511628211u;
		for (slot = hash % slots; table[slot] != 0 && !repeated; slot = (slot + 1) % slots)
		{
			const FhaSeries *seen = &page->series[table[slot] - 1];

			repeated = strcmp(seen->text, series.text) == 0 &&
					   strcmp(seen->suffix, series.suffix) == 0 &&
					   strcmp(seen->labels, series.labels) == 0;
		}
		if (repeated)
		{
			free(series.text);
			page->repeated++;
			continue;
		}
		page->series[kept++] = series;
		table[slot] = kept;
	}
	page->count = kept;
	free(table);
	return true;
}

static void
print_value(FILE *out, double value)
{
	char text[40];

	if (isnan(value))
		(void) fputs("NaN", out);
	else if (isinf(value))
		(void) fputs(value > 0 ? "+Inf" : "-Inf", out);
	else
	{
		(void) snprintf(text, sizeof(text), "%.15g", value);
		if (strtod(text, NULL) < value || strtod(text, NULL) > value)
			(void) snprintf(text, sizeof(text), "%.17g", value);
		(void) fputs(text, out);
	}
}

static void
print_help(FILE *out, const char *help)
{
	while (*help != '\0')
	{
		char character[4];
		size_t length;

		help = escape_character(character, &length, help, false);
		(void) fwrite(character, 1, length, out);
	}
}

FhaCode
fha_prometheus_text(FhaPrometheus *page, char **out, size_t *size, FhaError *err)
{
	const char *family = "";
	FILE *stream;

	*out = NULL;
	if (page->count > 0)
		qsort(page->series, page->count, sizeof(*page->series), by_family);
	stream = drop_repeated(page) ? open_memstream(out, size) : NULL;
	if (stream == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < page->count; i++)
	{
		const FhaSeries *series = &page->series[i];

		if (strcmp(family, series->text) != 0)
		{
			family = series->text;
			(void) fprintf(stream, "# HELP %s ", family);
			print_help(stream, series->help);
			(void) fprintf(stream, "\n# TYPE %s %s\n", family, series->type);
		}
		(void) fprintf(stream, "%s%s%s%s%s ", family, series->suffix,
					   series->labels[0] == '\0' ? "" : "{", series->labels,
					   series->labels[0] == '\0' ? "" : "}");
		print_value(stream, series->value);
		(void) fputc('\n', stream);
	}
	if (fclose(stream) == 0)
		return FHA_OK;
	free(*out);
	*out = NULL;
	return fha_error(err, FHA_NO_MEMORY, "out of memory");
}

void
fha_prometheus_clear(FhaPrometheus *page)
{
	for (size_t i = 0; i < page->count; i++)
		free(page->series[i].text);
	free(page->series);
	memset(page, 0, sizeof(*page));
}
