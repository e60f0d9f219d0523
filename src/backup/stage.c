/*
 * stage.c: what all stages have in common, and several as one.  See backup/stage.h.
 */
#include "backup/stage.h"

#include <stdlib.h>

/* Its first failure is its last word. */
static FhaCode
stage_result(FhaStage *stage, FhaCode code, FhaError *err)
{
	if (code == FHA_OK || code == FHA_AGAIN)
		return code;
	stage->error.code = code;
	if (err != NULL)
		*err = stage->error;
	return code;
}

FhaCode
fha_stage_write(FhaStage *stage, const char *data, size_t size, size_t *taken, FhaError *err)
{
	FhaCode code = stage->error.code;

	*taken = 0;
	if (code == FHA_OK && stage->is_finished)
		code = fha_error(&stage->error, FHA_INVALID, "bytes after the end of a stream");
	while (code == FHA_OK && *taken < size && (stage->kind->takes_ahead || stage->out_size == 0))
	{
		size_t some = 0;

		code = stage->kind->take(stage, data + *taken, size - *taken, &some, &stage->error);
		if (some == 0)
			break;
		*taken += some;
	}
	return stage_result(stage, code, err);
}

FhaCode
fha_stage_finish(FhaStage *stage, FhaError *err)
{
	stage->is_finished = true;
	return stage_result(stage, stage->error.code, err);
}

FhaCode
fha_stage_look(FhaStage *stage, const char **data, size_t *size, FhaError *err)
{
	FhaCode code = stage->error.code;

	if (code == FHA_OK && stage->out_size == 0 && !stage->is_ended)
		code = stage->kind->make(stage, &stage->error);
	*data = stage->out;
	*size = stage->out_size;
	if (code == FHA_OK && stage->out_size == 0 && !stage->is_ended)
		code = FHA_AGAIN;
	return stage_result(stage, code, err);
}

void
fha_stage_drop(FhaStage *stage, size_t size)
{
	stage->out += size;
	stage->out_size -= size;
}

int
fha_stage_fd(const FhaStage *stage)
{
	return stage->kind->fd == NULL ? -1 : stage->kind->fd(stage);
}

void
fha_stage_close(FhaStage *stage)
{
	if (stage != NULL)
		stage->kind->close(stage);
}

/* As fha_stage_pump; *moved grows by what it moved. */
static FhaCode
stage_move(FhaStage *from, FhaStage *to, size_t *moved, FhaError *err)
{
	for (;;)
	{
		const char *data;
		size_t size;
		size_t taken;
		FhaCode code = fha_stage_look(from, &data, &size, err);

		if (code != FHA_OK)
			return code;
		if (size == 0)
			return to->is_finished ? FHA_OK : fha_stage_finish(to, err);
		code = fha_stage_write(to, data, size, &taken, err);
		if (code != FHA_OK)
			return code;
		if (taken == 0)
			return FHA_AGAIN;
		fha_stage_drop(from, taken);
		*moved += taken;
	}
}

FhaCode
fha_stage_pump(FhaStage *from, FhaStage *to, FhaError *err)
{
	size_t moved = 0;

	return stage_move(from, to, &moved, err);
}

/* --- several as one */

typedef struct FhaChain
{
	FhaStage stage;
	FhaStage *links[FHA_CHAIN_MAX];
	size_t count;
	size_t shown; /* bytes of the last one's output that are this one's */
} FhaChain;

/* What was dropped here is dropped there, and what follows moves up, until nothing does. */
static FhaCode
chain_move(FhaChain *chain, FhaError *err)
{
	FhaStage *last = chain->links[chain->count - 1];
	size_t moved = 1;

	fha_stage_drop(last, chain->shown - chain->stage.out_size);
	chain->shown = chain->stage.out_size;
	while (moved > 0)
	{
		moved = 0;
		for (size_t i = 0; i + 1 < chain->count; i++)
		{
			FhaCode code = stage_move(chain->links[i], chain->links[i + 1], &moved, err);

			if (code != FHA_OK && code != FHA_AGAIN)
				return code;
		}
	}
	return FHA_OK;
}

static FhaCode
chain_take(FhaStage *stage, const char *data, size_t size, size_t *taken, FhaError *err)
{
	FhaChain *chain = (FhaChain *) stage;
	FhaCode code = chain_move(chain, err);

	if (code != FHA_OK)
		return code;
	code = fha_stage_write(chain->links[0], data, size, taken, err);
	return code == FHA_OK ? chain_move(chain, err) : code;
}

static FhaCode
chain_make(FhaStage *stage, FhaError *err)
{
	FhaChain *chain = (FhaChain *) stage;
	FhaStage *last = chain->links[chain->count - 1];
	FhaCode code = FHA_OK;

	if (stage->is_finished && !chain->links[0]->is_finished)
		code = fha_stage_finish(chain->links[0], err);
	if (code == FHA_OK)
		code = chain_move(chain, err);
	if (code == FHA_OK)
		code = fha_stage_look(last, &stage->out, &stage->out_size, err);
	if (code != FHA_OK)
		return code;
	chain->shown = stage->out_size;
	stage->is_ended = stage->out_size == 0;
	return FHA_OK;
}

static int
chain_fd(const FhaStage *stage)
{
	const FhaChain *chain = (const FhaChain *) stage;

	for (size_t i = 0; i < chain->count; i++)
	{
		if (fha_stage_fd(chain->links[i]) >= 0)
			return fha_stage_fd(chain->links[i]);
	}
	return -1;
}

static void
chain_close(FhaStage *stage)
{
	FhaChain *chain = (FhaChain *) stage;

	for (size_t i = 0; i < chain->count; i++)
		fha_stage_close(chain->links[i]);
	free(chain);
}

FhaCode
fha_chain_open(FhaStage **out, FhaStage *const *links, size_t count, FhaError *err)
{
	static const FhaStageKind kind = {.take = chain_take,
									  .make = chain_make,
									  .close = chain_close,
									  .fd = chain_fd,
									  .takes_ahead = true};
	FhaChain *chain = calloc(1, sizeof(*chain));

	*out = NULL;
	if (chain == NULL)
	{
		for (size_t i = 0; i < count; i++)
			fha_stage_close(links[i]);
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	}
	chain->stage.kind = &kind;
	chain->count = count;
	for (size_t i = 0; i < count; i++)
		chain->links[i] = links[i];
	*out = &chain->stage;
	return FHA_OK;
}
