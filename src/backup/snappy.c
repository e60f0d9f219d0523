/*
 * snappy.c: frames of snappy.  See backup/snappy.h; the formats are google/snappy's framing_format.txt and
 * format_description.txt.
 */
#include "backup/snappy.h"

#include <stdlib.h>
#include <string.h>

#define FRAME_HEADER 4
#define FRAME_PLAIN_MAX 65536
#define FRAME_CRC 4
/* The longest that a compressor makes of FRAME_PLAIN_MAX, with the checksum. */
#define FRAME_MAX (FRAME_CRC + 32 + FRAME_PLAIN_MAX + FRAME_PLAIN_MAX / 6)

#define FRAME_COMPRESSED 0x00
#define FRAME_UNCOMPRESSED 0x01
#define FRAME_SKIPPABLE 0x80
#define FRAME_STREAM 0xff

static const char stream_name[] = "sNaPpY";

/* CRC-32C, a byte at a time: what is read so is small and old. */
static uint32_t
unsnappy_crc(const char *data, size_t size)
{
	static uint32_t table[256];
	uint32_t crc = 0xffffffff;

	if (table[1] == 0)
	{
		for (uint32_t i = 0; i < 256; i++)
		{
			uint32_t value = i;

			for (int bit = 0; bit < 8; bit++)
				value = (value >> 1) ^ ((value & 1) != 0 ? 0x82f63b78 : 0);
			table[i] = value;
		}
	}
	for (size_t i = 0; i < size; i++)
		crc = (crc >> 8) ^ table[(crc ^ (unsigned char) data[i]) & 0xff];
	return ~crc;
}

static uint32_t
unsnappy_number(const unsigned char *at, size_t bytes)
{
	uint32_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value |= (uint32_t) at[i] << (8 * i);
	return value;
}

/* The size in front of a block, of at most 5 bytes; 0 bytes: there is none. */
static size_t
unsnappy_size(const unsigned char *at, size_t size, uint64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < size && i < 5; i++)
	{
		*out |= (uint64_t) (at[i] & 0x7f) << (7 * i);
		if ((at[i] & 0x80) == 0)
			return i + 1;
	}
	return 0;
}

typedef struct Block
{
	const unsigned char *at;
	const unsigned char *end;
	char *out;
	size_t made;
	size_t size; /* of all that comes out */
} Block;

static bool
block_literal(Block *block, unsigned tag)
{
	size_t size = tag >> 2;
	size_t bytes = size < 60 ? 0 : size - 59;

	if ((size_t) (block->end - block->at) < bytes)
		return false;
	if (bytes > 0)
		size = unsnappy_number(block->at, bytes);
	block->at += bytes;
	size++;
	if ((size_t) (block->end - block->at) < size || block->size - block->made < size)
		return false;
	memcpy(block->out + block->made, block->at, size);
	block->made += size;
	block->at += size;
	return true;
}

static bool
block_copy(Block *block, unsigned tag)
{
	static const size_t offset_bytes[] = {0, 1, 2, 4};
	size_t bytes = offset_bytes[tag & 3];
	size_t size = (tag >> 2) + 1;
	size_t offset;

	if ((size_t) (block->end - block->at) < bytes)
		return false;
	offset = unsnappy_number(block->at, bytes);
	block->at += bytes;
	if (bytes == 1)
	{
		offset |= (size_t) (tag >> 5) << 8;
		size = ((tag >> 2) & 7) + 4;
	}
	if (offset == 0 || offset > block->made || block->size - block->made < size)
		return false;
	/* Both may overlap: what is copied is then copied again. */
	for (; size > 0; size--, block->made++)
		block->out[block->made] = block->out[block->made - offset];
	return true;
}

static bool
unsnappy_block(FhaUnsnappy *unsnappy, const unsigned char *at, size_t size)
{
	uint64_t plain;
	size_t bytes = unsnappy_size(at, size, &plain);
	Block block = {.at = at + bytes, .end = at + size, .out = unsnappy->plain};

	if (bytes == 0 || plain > FRAME_PLAIN_MAX)
		return false;
	block.size = (size_t) plain;
	while (block.at < block.end)
	{
		unsigned tag = *block.at++;

		if (!((tag & 3) == 0 ? block_literal(&block, tag) : block_copy(&block, tag)))
			return false;
	}
	unsnappy->plain_size = block.made;
	return block.made == block.size;
}

/* A whole frame with data. */
static bool
unsnappy_data(FhaUnsnappy *unsnappy, unsigned type, const unsigned char *body, size_t size)
{
	uint32_t crc;

	if (size < FRAME_CRC)
		return false;
	if (type == FRAME_COMPRESSED)
	{
		if (!unsnappy_block(unsnappy, body + FRAME_CRC, size - FRAME_CRC))
			return false;
	}
	else
	{
		unsnappy->plain_size = size - FRAME_CRC;
		if (unsnappy->plain_size > FRAME_PLAIN_MAX)
			return false;
		memcpy(unsnappy->plain, body + FRAME_CRC, unsnappy->plain_size);
	}
	unsnappy->plain_given = 0;
	crc = unsnappy_crc(unsnappy->plain, unsnappy->plain_size);
	return ((crc >> 15) | (crc << 17)) + 0xa282ead8 == unsnappy_number(body, FRAME_CRC);
}

/* What a frame's header says: how much of it to gather, or to skip.  False: it cannot be. */
static bool
unsnappy_header(FhaUnsnappy *unsnappy, size_t size)
{
	unsigned type = unsnappy->frame[0];

	if (type == FRAME_STREAM)
		return size == sizeof(stream_name) - 1;
	if (!unsnappy->has_begun)
		return false;
	if (type >= FRAME_SKIPPABLE)
	{
		unsnappy->skip = (uint32_t) size;
		unsnappy->have = 0;
		return true;
	}
	return type <= FRAME_UNCOMPRESSED && size <= FRAME_MAX;
}

static bool
unsnappy_frame(FhaUnsnappy *unsnappy)
{
	const unsigned char *body = unsnappy->frame + FRAME_HEADER;
	size_t size = unsnappy->have - FRAME_HEADER;

	unsnappy->have = 0;
	if (unsnappy->frame[0] != FRAME_STREAM)
		return unsnappy_data(unsnappy, unsnappy->frame[0], body, size);
	unsnappy->has_begun = true;
	return memcmp(body, stream_name, size) == 0;
}

/* Of the input into the frame, until it has `wanted` bytes; is it so far? */
static bool
unsnappy_gather(FhaUnsnappy *unsnappy, size_t wanted, const char **in, size_t *in_size)
{
	size_t size = wanted - unsnappy->have;

	size = size < *in_size ? size : *in_size;
	memcpy(unsnappy->frame + unsnappy->have, *in, size);
	unsnappy->have += size;
	*in += size;
	*in_size -= size;
	return unsnappy->have == wanted;
}

static void
unsnappy_give(FhaUnsnappy *unsnappy, char **out, size_t *out_size)
{
	size_t size = unsnappy->plain_size - unsnappy->plain_given;

	size = size < *out_size ? size : *out_size;
	memcpy(*out, unsnappy->plain + unsnappy->plain_given, size);
	unsnappy->plain_given += size;
	*out += size;
	*out_size -= size;
}

static void
unsnappy_skip(FhaUnsnappy *unsnappy, const char **in, size_t *in_size)
{
	size_t size = unsnappy->skip < *in_size ? unsnappy->skip : *in_size;

	unsnappy->skip -= (uint32_t) size;
	*in += size;
	*in_size -= size;
}

bool
fha_unsnappy_open(FhaUnsnappy *unsnappy)
{
	unsnappy->frame = malloc(FRAME_HEADER + FRAME_MAX);
	unsnappy->plain = malloc(FRAME_PLAIN_MAX);
	return unsnappy->frame != NULL && unsnappy->plain != NULL;
}

void
fha_unsnappy_close(FhaUnsnappy *unsnappy)
{
	free(unsnappy->frame);
	free(unsnappy->plain);
}

bool
fha_unsnappy_run(FhaUnsnappy *unsnappy, const char **in, size_t *in_size, char **out,
				 size_t *out_size)
{
	for (;;)
	{
		size_t size;

		unsnappy_give(unsnappy, out, out_size);
		unsnappy_skip(unsnappy, in, in_size);
		if (unsnappy->plain_given < unsnappy->plain_size || unsnappy->skip > 0)
			return true;
		if (unsnappy->have < FRAME_HEADER && !unsnappy_gather(unsnappy, FRAME_HEADER, in, in_size))
			return true;
		size = unsnappy_number(unsnappy->frame + 1, 3);
		if (unsnappy->have == FRAME_HEADER && !unsnappy_header(unsnappy, size))
			return false;
		if (unsnappy->have == 0)
			continue;
		if (!unsnappy_gather(unsnappy, FRAME_HEADER + size, in, in_size))
			return true;
		if (!unsnappy_frame(unsnappy))
			return false;
	}
}

bool
fha_unsnappy_is_whole(const FhaUnsnappy *unsnappy)
{
	return unsnappy->has_begun && unsnappy->have == 0 && unsnappy->skip == 0 &&
		   unsnappy->plain_given == unsnappy->plain_size;
}
