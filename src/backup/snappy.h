/*
 * snappy.h: the way back from snappy's framed format, which barman's `--snappy` writes.
 *
 * By ourselves: the format is small and will not change, and its library would bring C++'s into each process of PostgreSQL.
 */
#ifndef FHA_BACKUP_SNAPPY_H
#define FHA_BACKUP_SNAPPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct FhaUnsnappy
{
	unsigned char *frame; /* what of the frame is here, its header of 4 bytes included */
	size_t have;
	char *plain; /* what came out of it */
	size_t plain_size;
	size_t plain_given;
	uint32_t skip; /* bytes of a frame that says nothing */
	bool has_begun;
} FhaUnsnappy;

/* The rest of it is all zeros.  False: no memory. */
bool fha_unsnappy_open(FhaUnsnappy *unsnappy);
void fha_unsnappy_close(FhaUnsnappy *unsnappy);

/* Moves both ends until there is no input or no room.  False: damaged. */
bool fha_unsnappy_run(FhaUnsnappy *unsnappy, const char **in, size_t *in_size, char **out,
					  size_t *out_size);

/* Between two frames, with nothing left to give: the input may end here. */
bool fha_unsnappy_is_whole(const FhaUnsnappy *unsnappy);

#endif
