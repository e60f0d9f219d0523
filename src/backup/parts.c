/*
 * parts.c: a stream in parts of one size.  See backup/parts.h.
 */
#include "backup/parts.h"

#include <stdlib.h>
#include <string.h>

typedef enum BufferState
{
	BUFFER_FREE,
	BUFFER_FILLING, /* also when it is full, until it is known whether it is the last one */
	BUFFER_COMPLETE,
	BUFFER_GIVEN
} BufferState;

typedef struct PartBuffer
{
	BufferState state;
	unsigned number;
	size_t size;
	bool is_last;
	char *data;
} PartBuffer;

struct FhaParts
{
	size_t part_size;
	size_t count;
	uint64_t taken;
	unsigned begun; /* the number of the newest part */
	bool is_ended;
	PartBuffer buffers[FHA_PARTS_MAX];
};

FhaCode
fha_parts_open(FhaParts **out, size_t part_size, size_t count, FhaError *err)
{
	FhaParts *parts = calloc(1, sizeof(*parts));

	*out = NULL;
	if (parts == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	parts->part_size = part_size;
	parts->count = count < FHA_PARTS_MAX ? count : FHA_PARTS_MAX;
	for (size_t i = 0; i < parts->count; i++)
	{
		parts->buffers[i].data = malloc(part_size);
		if (parts->buffers[i].data == NULL)
		{
			fha_parts_close(parts);
			return fha_error(err, FHA_NO_MEMORY, "out of memory");
		}
	}
	*out = parts;
	return FHA_OK;
}

void
fha_parts_close(FhaParts *parts)
{
	if (parts == NULL)
		return;
	for (size_t i = 0; i < parts->count; i++)
		free(parts->buffers[i].data);
	free(parts);
}

static PartBuffer *
parts_find(FhaParts *parts, BufferState state, unsigned number)
{
	for (size_t i = 0; i < parts->count; i++)
	{
		if (parts->buffers[i].state == state && (number == 0 || parts->buffers[i].number == number))
			return &parts->buffers[i];
	}
	return NULL;
}

/* The buffer that takes the next byte; NULL: each one is in use.  A full one is then known not to be the last. */
static PartBuffer *
parts_buffer(FhaParts *parts)
{
	PartBuffer *buffer = parts_find(parts, BUFFER_FILLING, 0);

	if (buffer != NULL && buffer->size < parts->part_size)
		return buffer;
	if (buffer != NULL)
		buffer->state = BUFFER_COMPLETE;
	buffer = parts_find(parts, BUFFER_FREE, 0);
	if (buffer == NULL)
		return NULL;
	buffer->state = BUFFER_FILLING;
	buffer->number = ++parts->begun;
	buffer->size = 0;
	return buffer;
}

/* What is being filled was the last one; an empty stream has one, too. */
static void
parts_end(FhaParts *parts)
{
	PartBuffer *buffer = parts_find(parts, BUFFER_FILLING, 0);

	if (buffer == NULL)
		buffer = parts_buffer(parts);
	/* analyzer: a buffer is filled once there was a byte, and before that all are free */
	buffer->is_last = true;
	buffer->state = BUFFER_COMPLETE;
	parts->is_ended = true;
}

FhaCode
fha_parts_fill(FhaParts *parts, FhaStream *from, FhaError *err)
{
	while (!parts->is_ended)
	{
		const char *data;
		size_t size;
		PartBuffer *buffer;
		FhaCode code = fha_stream_look(from, &data, &size, err);

		if (code != FHA_OK)
			return code;
		if (size == 0)
		{
			parts_end(parts);
			break;
		}
		buffer = parts_buffer(parts);
		if (buffer == NULL)
			return FHA_AGAIN;
		if (size > parts->part_size - buffer->size)
			size = parts->part_size - buffer->size;
		memcpy(buffer->data + buffer->size, data, size);
		buffer->size += size;
		parts->taken += size;
		fha_stream_drop(from, size);
	}
	return FHA_OK;
}

bool
fha_parts_next(FhaParts *parts, FhaPart *out)
{
	PartBuffer *first = NULL;

	for (size_t i = 0; i < parts->count; i++)
	{
		PartBuffer *buffer = &parts->buffers[i];

		if (buffer->state == BUFFER_COMPLETE && (first == NULL || buffer->number < first->number))
			first = buffer;
	}
	if (first == NULL)
		return false;
	first->state = BUFFER_GIVEN;
	*out = (FhaPart){.number = first->number,
					 .data = first->data,
					 .size = first->size,
					 .is_last = first->is_last};
	return true;
}

uint64_t
fha_parts_taken(const FhaParts *parts)
{
	return parts->taken;
}

void
fha_parts_release(FhaParts *parts, unsigned number)
{
	PartBuffer *buffer = parts_find(parts, BUFFER_GIVEN, number);

	if (buffer != NULL)
		buffer->state = BUFFER_FREE;
}
