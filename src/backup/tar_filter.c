/*
 * tar_filter.c: what of BASE_BACKUP's archives is stored.  See backup/tar_filter.h.
 */
#include "backup/tar_filter.h"

#include <stdlib.h>
#include <string.h>

#define FILTER_OUT_SIZE ((size_t) 256 * 1024)
/* Before an entry begins: its headers, and the end of the archive, must fit. */
#define FILTER_ROOM (FHA_TAR_HEADERS_SIZE + FHA_TAR_BLOCK)
#define FILTER_END_SIZE ((size_t) 2 * FHA_TAR_BLOCK)

typedef enum FilterRoute
{
	FILTER_ON, /* goes on as it is */
	FILTER_DROP,
	FILTER_LABEL, /* is kept for the end */
	FILTER_MANIFEST
} FilterRoute;

typedef struct TarFilter
{
	FhaStream stream;
	FhaTarFilterSettings settings;
	FhaTar *tar;
	FilterRoute route; /* of the entry at hand */
	FhaTarFilterCount count;
	bool has_control;
	bool is_cut;           /* before the entry at hand, whose headers are still to come */
	uint64_t archive_size; /* of the archive so far */
	char *label;           /* headers and content */
	size_t label_headers;
	size_t label_size;
	bool is_at_end;
	char *out; /* FILTER_OUT_SIZE */
} TarFilter;

static void
filter_emit(TarFilter *filter, const char *data, size_t size)
{
	memcpy(filter->out + filter->stream.out_size, data, size);
	filter->stream.out_size += size;
}

static void
filter_emit_zeros(TarFilter *filter, size_t size)
{
	memset(filter->out + filter->stream.out_size, 0, size);
	filter->stream.out_size += size;
}

static size_t
filter_padding(uint64_t size)
{
	return (size_t) ((FHA_TAR_BLOCK - size % FHA_TAR_BLOCK) % FHA_TAR_BLOCK);
}

static size_t
filter_room(const TarFilter *filter)
{
	return FILTER_OUT_SIZE - filter->stream.out_size;
}

static FhaCode
filter_keep_label(TarFilter *filter, const FhaTarEntry *entry, FhaError *err)
{
	const char *headers = fha_tar_headers(filter->tar, &filter->label_headers);

	if (entry->size > FHA_BACKUP_LABEL_MAX || filter->label != NULL)
		return fha_error(err, FHA_INVALID,
						 "the archive's backup_label is too large, or there are two");
	filter->label = malloc(filter->label_headers + (size_t) entry->size + 1);
	if (filter->label == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	memcpy(filter->label, headers, filter->label_headers);
	filter->label_size = filter->label_headers;
	filter->label[filter->label_size] = '\0';
	return FHA_OK;
}

static bool
filter_is(const FhaTarEntry *entry, const char *path)
{
	return entry->type == FHA_TAR_FILE && strcmp(entry->path, path) == 0;
}

static FilterRoute
filter_route(const TarFilter *filter, const FhaTarEntry *entry)
{
	if (!filter->settings.is_data_directory)
		return FILTER_ON;
	if (filter_is(entry, "tablespace_map"))
		return FILTER_DROP;
	if (filter_is(entry, "standby.signal") || filter_is(entry, "recovery.signal"))
		return FILTER_DROP;
	if (entry->type == FHA_TAR_SYMLINK && strncmp(entry->path, "pg_tblspc/", 10) == 0)
		return FILTER_DROP;
	if (filter_is(entry, "backup_label"))
		return FILTER_LABEL;
	return filter_is(entry, "backup_manifest") ? FILTER_MANIFEST : FILTER_ON;
}

static void
filter_emit_headers(TarFilter *filter)
{
	const FhaTarEntry *entry = fha_tar_entry(filter->tar);
	size_t size;
	const char *headers = fha_tar_headers(filter->tar, &size);

	filter_emit(filter, headers, size);
	filter->archive_size += size + entry->size + filter_padding(entry->size);
}

static FhaCode
filter_entry(TarFilter *filter, FhaError *err)
{
	const FhaTarEntry *entry = fha_tar_entry(filter->tar);

	filter->route = filter_route(filter, entry);
	if (filter->route == FILTER_LABEL)
		return filter_keep_label(filter, entry, err);
	if (filter->route != FILTER_ON)
		return FHA_OK;
	if (entry->type == FHA_TAR_SYMLINK)
		return fha_error(err, FHA_INVALID, "\"%.150s\" of the archive is a link", entry->path);
	if (entry->type == FHA_TAR_FILE && filter->has_control)
		return fha_error(err, FHA_INVALID, "\"%.150s\" of the archive comes after pg_control",
						 entry->path);
	if (filter->settings.is_data_directory && filter_is(entry, "global/pg_control"))
		filter->has_control = true;
	if (filter->settings.archive_size > 0 && filter->archive_size >= filter->settings.archive_size)
	{
		filter_emit_zeros(filter, FILTER_END_SIZE);
		filter->is_cut = filter->stream.is_ended = true;
	}
	else
		filter_emit_headers(filter);
	return FHA_OK;
}

static void
filter_data(TarFilter *filter, const char *data, size_t size)
{
	switch (filter->route)
	{
		case FILTER_ON:
			filter_emit(filter, data, size);
			filter->count.bytes += size;
			break;
		case FILTER_LABEL:
			memcpy(filter->label + filter->label_size, data, size);
			filter->label_size += size;
			filter->label[filter->label_size] = '\0';
			break;
		case FILTER_MANIFEST:
			if (filter->settings.take_manifest != NULL)
				filter->settings.take_manifest(data, size, filter->settings.owner);
			break;
		case FILTER_DROP:
			break;
	}
}

static void
filter_done(TarFilter *filter)
{
	const FhaTarEntry *entry = fha_tar_entry(filter->tar);

	if (filter->route != FILTER_ON)
		return;
	filter_emit_zeros(filter, filter_padding(entry->size));
	filter->count.files += entry->type == FHA_TAR_FILE;
}

static FhaCode
filter_end(TarFilter *filter, FhaError *err)
{
	if (filter->settings.is_data_directory && filter->label == NULL)
		return fha_error(err, FHA_INVALID, "the archive has no backup_label");
	if (filter->settings.is_data_directory && !filter->has_control)
		return fha_error(err, FHA_INVALID, "the archive has no global/pg_control");
	filter->is_at_end = true;
	return FHA_OK;
}

static FhaCode
filter_event(TarFilter *filter, FhaTarEvent event, const char *part, size_t part_size,
			 FhaError *err)
{
	switch (event)
	{
		case FHA_TAR_ENTRY:
			return filter_entry(filter, err);
		case FHA_TAR_DATA:
			filter_data(filter, part, part_size);
			return FHA_OK;
		case FHA_TAR_DONE:
			filter_done(filter);
			return FHA_OK;
		case FHA_TAR_END:
			return filter_end(filter, err);
		case FHA_TAR_MORE:
			break;
	}
	return FHA_OK;
}

/* Called without output: there is room for all that one event may add. */
static FhaCode
filter_take(FhaStream *stream, const char *data, size_t size, size_t *taken, FhaError *err)
{
	TarFilter *filter = (TarFilter *) stream;
	const char *at = data;
	FhaTarEvent event = FHA_TAR_DONE;
	FhaCode code = FHA_OK;

	stream->out = filter->out;
	while (code == FHA_OK && event != FHA_TAR_MORE && !filter->is_cut &&
		   filter_room(filter) >= FILTER_ROOM)
	{
		size_t room = filter_room(filter) - FHA_TAR_BLOCK;
		size_t left = size - (size_t) (at - data);
		const char *part = NULL;
		size_t part_size = 0;

		left = left < room ? left : room;
		code = fha_tar_next(filter->tar, &at, &left, &event, &part, &part_size, err);
		if (code == FHA_OK)
			code = filter_event(filter, event, part, part_size, err);
	}
	*taken = (size_t) (at - data);
	return code;
}

/* backup_label, which always fits, and two blocks of zeros. */
static void
filter_emit_end(TarFilter *filter)
{
	filter->stream.out = filter->out;
	if (filter->label != NULL)
	{
		filter_emit(filter, filter->label, filter->label_size);
		filter_emit_zeros(filter, filter_padding(filter->label_size));
		filter->count.files++;
		filter->count.bytes += filter->label_size - filter->label_headers;
	}
	filter_emit_zeros(filter, FILTER_END_SIZE);
	filter->stream.is_ended = true;
}

static FhaCode
filter_make(FhaStream *stream, FhaError *err)
{
	TarFilter *filter = (TarFilter *) stream;
	size_t none;
	FhaCode code = filter_take(stream, "", 0, &none, err);

	if (code != FHA_OK || stream->out_size > 0 || !stream->is_finished)
		return code;
	code = fha_tar_finish(filter->tar, err);
	if (code == FHA_OK)
		filter_emit_end(filter);
	return code;
}

static void
filter_close(FhaStream *stream)
{
	TarFilter *filter = (TarFilter *) stream;

	fha_tar_close(filter->tar);
	free(filter->label);
	free(filter->out);
	free(filter);
}

FhaCode
fha_tar_filter_open(FhaStream **out, const FhaTarFilterSettings *settings, FhaError *err)
{
	static const FhaStreamKind kind = {
		.take = filter_take, .make = filter_make, .close = filter_close};
	TarFilter *filter = calloc(1, sizeof(*filter));
	FhaCode code;

	*out = NULL;
	if (filter == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	filter->stream.kind = &kind;
	filter->settings = *settings;
	code = fha_tar_open(&filter->tar,
						FHA_TAR_FILE | FHA_TAR_DIRECTORY | FHA_TAR_SYMLINK | FHA_TAR_ANY_LINK, err);
	filter->out = malloc(FILTER_OUT_SIZE);
	if (code == FHA_OK && filter->out == NULL)
		code = fha_error(err, FHA_NO_MEMORY, "out of memory");
	if (code == FHA_OK)
		*out = &filter->stream;
	else
		filter_close(&filter->stream);
	return code;
}

FhaTarFilterCount
fha_tar_filter_count(const FhaStream *filter)
{
	return ((const TarFilter *) filter)->count;
}

const char *
fha_tar_filter_label(const FhaStream *filter)
{
	const TarFilter *own = (const TarFilter *) filter;

	return own->is_at_end && own->label != NULL ? own->label + own->label_headers : "";
}

bool
fha_tar_filter_is_cut(const FhaStream *filter)
{
	return ((const TarFilter *) filter)->is_cut;
}

void
fha_tar_filter_go_on(FhaStream *filter)
{
	TarFilter *own = (TarFilter *) filter;

	own->is_cut = own->stream.is_ended = false;
	own->archive_size = 0;
	own->stream.out = own->out;
	filter_emit_headers(own);
}
