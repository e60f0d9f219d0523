/*
 * driver.c: a directory as an object store: tries are jobs of threads, so that a disk that hangs costs a deadline and not the caller.
 *
 * A thread that hangs is left behind with its job, and whichever of thread and store ends last releases what both have.
 * The caller's data is copied piece by piece under the lock, so that no thread looks at it after a cancel.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "store/dir/uploads.h"

#define DISK_THREADS_MAX 8
#define DISK_CLOSE_MS 100

typedef enum DiskState
{
	DISK_QUEUED,
	DISK_RUNS,  /* in a thread */
	DISK_ENDED, /* for the store's next step */
	DISK_PAUSED /* a GET whose taker is full */
} DiskState;

typedef struct DiskPool DiskPool;

typedef struct DiskJob
{
	struct DiskJob *next;
	DiskPool *pool;
	FhaStoreCall *call;
	FhaStoreAsked *asked;
	/* Under the pool's lock. */
	DiskState state;
	bool begun;
	bool given_up;
	/* The thread's while it runs, else the store's. */
	FhaStoreResult result;
	int fd; /* GET: the object; -1: not open */
	char identity[FHA_STORE_TAG_SIZE];
	uint64_t at, end; /* GET: what is still to be read */
	char *piece;
	size_t got;
} DiskJob;

typedef struct DiskQueue
{
	DiskJob *first, *last;
} DiskQueue;

struct DiskPool
{
	FhaStoreRoot root;
	int ended_fd; /* eventfd */
	pthread_mutex_t lock;
	pthread_cond_t wanted; /* there is a job, or the store is closed */
	pthread_cond_t left;   /* a thread has ended */
	DiskQueue queue, ended;
	unsigned threads, idle;
	bool closed;
	bool abandoned; /* the store is gone: the last thread frees the pool */
	bool swept;
};

typedef struct DiskStore
{
	FhaStore store;
	DiskPool *pool;
} DiskStore;

static DiskPool *
disk_pool(const FhaStore *store)
{
	return ((const DiskStore *) store)->pool;
}

/* --- queues */

static void
disk_push(DiskQueue *queue, DiskJob *job, DiskState state)
{
	job->state = state;
	job->next = NULL;
	if (queue->first == NULL)
		queue->first = job;
	else
		queue->last->next = job;
	queue->last = job;
}

static DiskJob *
disk_pop(DiskQueue *queue)
{
	DiskJob *job = queue->first;

	if (job != NULL)
		queue->first = job->next;
	return job;
}

static void
disk_take_out(DiskQueue *queue, const DiskJob *job)
{
	DiskQueue rest = {0};
	DiskJob *other;

	while ((other = disk_pop(queue)) != NULL)
		if (other != job)
			disk_push(&rest, other, other->state);
	*queue = rest;
}

/* Closing a file may take as long as writing it. */
static void
disk_free_job(DiskJob *job)
{
	if (job->fd >= 0)
		(void) close(job->fd);
	fha_store_result_release(&job->result);
	fha_store_asked_release(job->asked);
	free(job->piece);
	free(job);
}

/* --- in a thread */

static bool
disk_fetch(void *owner, uint64_t at, char *out, size_t size)
{
	DiskJob *job = owner;
	bool wanted;

	(void) pthread_mutex_lock(&job->pool->lock);
	wanted = !job->given_up;
	if (wanted && size > 0)
		memcpy(out, job->asked->request.data + at, size);
	(void) pthread_mutex_unlock(&job->pool->lock);
	return wanted;
}

static FhaCode
disk_open_object(DiskJob *job, FhaError *err)
{
	const FhaStoreRequest *request = &job->asked->request;
	FhaStoreResult *result = &job->result;
	FhaCode code =
		fha_store_dir_open_object(&job->pool->root, request->key, &job->fd, job->identity,
								  &result->size, &result->modified_s, err);

	if (code != FHA_OK)
		return code;
	job->piece = malloc(FHA_STORE_PIECE);
	/* analyzer: disk_free_job() frees it */
	if (job->piece == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	job->end = request->length == 0 || result->size < request->offset + request->length
				   ? result->size
				   : request->offset + request->length;
	return FHA_OK;
}

/* The next piece of an object. */
static FhaCode
disk_get(DiskJob *job, FhaError *err)
{
	uint64_t left;
	FhaCode code = job->fd >= 0 ? FHA_OK : disk_open_object(job, err);

	job->got = 0;
	if (code != FHA_OK || job->at >= job->end)
		return code;
	left = job->end - job->at;
	return fha_store_dir_read(job->fd, job->at, job->piece,
							  left < FHA_STORE_PIECE ? (size_t) left : FHA_STORE_PIECE, &job->got,
							  err);
}

static FhaCode
disk_carry_out(DiskJob *job, FhaError *err)
{
	FhaStoreRoot *root = &job->pool->root;
	const FhaStoreRequest *request = &job->asked->request;
	FhaStoreResult *result = &job->result;
	const FhaStoreSource source = {.size = request->size, .fetch = disk_fetch, .owner = job};

	switch (request->verb)
	{
		case FHA_STORE_STAT:
			return fha_store_dir_stat(root, request->key, &result->size, &result->modified_s, err);
		case FHA_STORE_GET:
			return disk_get(job, err);
		case FHA_STORE_PUT:
			return fha_store_dir_put(root, request->key, &source, request->if_absent, err);
		case FHA_STORE_LIST:
			return fha_store_dir_list(root, request, result, err);
		case FHA_STORE_DELETE:
			return fha_store_dir_delete(root, request->keys, request->key_count, err);
		case FHA_STORE_BEGIN:
			return fha_store_dir_begin(root, request, result, err);
		case FHA_STORE_PART:
			return fha_store_dir_part(root, request, &source, result, err);
		case FHA_STORE_PARTS:
			return fha_store_dir_parts(root, request, result, err);
		case FHA_STORE_COMPLETE:
			return fha_store_dir_complete(root, request, err);
		case FHA_STORE_ABORT:
			return fha_store_dir_abort(root, request, err);
		case FHA_STORE_UPLOADS:
			break;
	}
	return fha_store_dir_uploads(root, request, result, err);
}

static void
disk_free_pool(DiskPool *pool)
{
	(void) close(pool->ended_fd);
	(void) pthread_mutex_destroy(&pool->root.lock);
	(void) pthread_mutex_destroy(&pool->lock);
	(void) pthread_cond_destroy(&pool->wanted);
	(void) pthread_cond_destroy(&pool->left);
	free(pool);
}

/* Under the lock, which it gives up meanwhile. */
static void
disk_run(DiskPool *pool, DiskJob *job)
{
	bool sweeps = false;

	job->state = DISK_RUNS;
	job->begun = true;
	if (!job->given_up)
	{
		(void) pthread_mutex_unlock(&pool->lock);
		job->result.code = disk_carry_out(job, &job->result.error);
		(void) pthread_mutex_lock(&pool->lock);
		sweeps = !pool->swept && fha_store_verb_writes(job->asked->request.verb);
		pool->swept = pool->swept || sweeps;
	}
	if (job->given_up)
	{
		(void) pthread_mutex_unlock(&pool->lock);
		disk_free_job(job);
		(void) pthread_mutex_lock(&pool->lock);
	}
	else
	{
		disk_push(&pool->ended, job, DISK_ENDED);
		(void) eventfd_write(pool->ended_fd, 1);
	}
	if (sweeps)
	{
		(void) pthread_mutex_unlock(&pool->lock);
		fha_store_dir_sweep(&pool->root);
		(void) pthread_mutex_lock(&pool->lock);
	}
}

static void *
disk_thread(void *argument)
{
	DiskPool *pool = argument;
	bool is_last;

	(void) pthread_mutex_lock(&pool->lock);
	for (;;)
	{
		DiskJob *job = disk_pop(&pool->queue);

		if (job != NULL)
			disk_run(pool, job);
		else if (pool->closed)
			break;
		else
		{
			pool->idle++;
			(void) pthread_cond_wait(&pool->wanted, &pool->lock);
			pool->idle--;
		}
	}
	pool->threads--;
	is_last = pool->threads == 0 && pool->abandoned;
	(void) pthread_cond_signal(&pool->left);
	(void) pthread_mutex_unlock(&pool->lock);
	if (is_last)
		disk_free_pool(pool);
	return NULL;
}

/* --- threads, from the store's side; under the lock */

static bool
disk_begin_thread(DiskPool *pool)
{
	pthread_attr_t detached;
	pthread_t thread;
	sigset_t all;
	sigset_t before;
	bool begun;

	if (pthread_attr_init(&detached) != 0)
		return false; /* LCOV_EXCL_LINE: no memory */
	(void) pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	/* The host's signals are the host's. */
	(void) sigfillset(&all);
	(void) pthread_sigmask(SIG_SETMASK, &all, &before);
	begun = pthread_create(&thread, &detached, disk_thread, pool) == 0;
	(void) pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void) pthread_attr_destroy(&detached);
	if (begun)
		pool->threads++;
	return begun;
}

static unsigned
disk_queue_length(const DiskQueue *queue)
{
	unsigned count = 0;

	for (const DiskJob *job = queue->first; job != NULL; job = job->next)
		count++;
	return count;
}

/* False: there is no thread that could do it. */
static bool
disk_enqueue(DiskPool *pool, DiskJob *job)
{
	if (pool->idle <= disk_queue_length(&pool->queue) && pool->threads < DISK_THREADS_MAX)
		(void) disk_begin_thread(pool);
	if (pool->threads == 0)
		return false;
	disk_push(&pool->queue, job, DISK_QUEUED);
	(void) pthread_cond_signal(&pool->wanted);
	return true;
}

/* A job that is not in a thread: released here, or there if that may block. */
static void
disk_let_go(DiskPool *pool, DiskJob *job)
{
	job->given_up = true;
	if (job->fd < 0)
		disk_free_job(job);
	else
		(void) disk_enqueue(pool, job);
}

/* --- the driver */

static void
disk_init_pool(DiskPool *pool)
{
	pthread_condattr_t monotonic;

	(void) pthread_condattr_init(&monotonic);
	(void) pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void) pthread_mutex_init(&pool->lock, NULL);
	(void) pthread_mutex_init(&pool->root.lock, NULL);
	(void) pthread_cond_init(&pool->wanted, NULL);
	(void) pthread_cond_init(&pool->left, &monotonic);
	(void) pthread_condattr_destroy(&monotonic);
}

static FhaCode
disk_open(FhaStore *store, FhaError *err)
{
	DiskPool *pool;

	if (store->settings.path[0] != '/' || store->settings.prefix[0] != '\0')
		return fha_error(err, FHA_INVALID, "a directory as the store is an absolute path");
	pool = calloc(1, sizeof(*pool));
	if (pool == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	pool->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->ended_fd < 0)
	{
		/* LCOV_EXCL_START: the kernel refuses */
		free(pool);
		return fha_error_errno(err, FHA_IO, "eventfd");
		/* LCOV_EXCL_STOP */
	}
	disk_init_pool(pool);
	memcpy(pool->root.path, store->settings.path, sizeof(pool->root.path));
	((DiskStore *) store)->pool = pool;
	return FHA_OK;
}

static void
disk_close(FhaStore *store)
{
	DiskPool *pool = disk_pool(store);
	struct timespec until;
	bool is_last;

	(void) clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += DISK_CLOSE_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	(void) pthread_mutex_lock(&pool->lock);
	pool->closed = true;
	(void) pthread_cond_broadcast(&pool->wanted);
	while (pool->threads > 0 &&
		   pthread_cond_timedwait(&pool->left, &pool->lock, &until) != ETIMEDOUT)
		continue;
	is_last = pool->threads == 0;
	pool->abandoned = !is_last;
	(void) pthread_mutex_unlock(&pool->lock);
	if (is_last)
		disk_free_pool(pool);
}

static int
disk_fd(const FhaStore *store)
{
	return disk_pool(store)->ended_fd;
}

static int64_t
disk_wake_at_ms(const FhaStore *store)
{
	(void) store;
	return INT64_MAX;
}

/* A listing and a removal of what no file can be called is empty. */
static bool
disk_checks_key(FhaStoreVerb verb)
{
	return verb == FHA_STORE_PUT || verb == FHA_STORE_BEGIN || verb == FHA_STORE_STAT ||
		   verb == FHA_STORE_GET;
}

static FhaCode
disk_start(FhaStore *store, FhaStoreCall *call, FhaError *err)
{
	DiskPool *pool = disk_pool(store);
	uint64_t length;
	DiskJob *job;
	bool queued;
	FhaCode code = FHA_OK;

	if (disk_checks_key(call->asked->request.verb))
		code = fha_store_dir_key_check(call->asked->request.key, err);
	if (code != FHA_OK)
		return code;
	job = calloc(1, sizeof(*job));
	if (job == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	job->pool = pool;
	job->call = call;
	job->fd = -1;
	job->asked = call->asked;
	fha_store_asked_hold(job->asked);
	if (call->asked->request.verb == FHA_STORE_GET)
		fha_store_call_range(call, &job->at, &length);
	(void) pthread_mutex_lock(&pool->lock);
	queued = disk_enqueue(pool, job);
	(void) pthread_mutex_unlock(&pool->lock);
	if (!queued)
	{
		disk_free_job(job);
		return fha_error(err, FHA_IO, "no thread for the store's directory");
	}
	call->try_ = job;
	return FHA_OK;
}

/* Of a GET, the next piece to the taker, without the lock.  AGAIN: the try goes on. */
static FhaCode
disk_hand_over(DiskPool *pool, DiskJob *job)
{
	FhaStoreResult *result = &job->result;
	FhaCode code = fha_store_call_object(job->call, job->identity, result->size, result->modified_s,
										 &result->error);

	if (code == FHA_OK && job->got > 0)
		code = fha_store_call_bytes(job->call, job->at, job->piece, job->got, &result->error);
	if (code == FHA_AGAIN)
		job->state = DISK_PAUSED;
	if (code != FHA_OK)
		return code;
	job->at += job->got;
	if (job->got == 0 || job->at >= job->end)
		return FHA_OK;
	(void) pthread_mutex_lock(&pool->lock);
	/* A thread has read this piece, so there is one. */
	(void) disk_enqueue(pool, job);
	(void) pthread_mutex_unlock(&pool->lock);
	return FHA_AGAIN;
}

static FhaStoreCall *
disk_settle(DiskPool *pool, DiskJob *job, FhaCode code)
{
	FhaStoreCall *call = job->call;

	fha_store_result_release(&call->result);
	call->result = job->result;
	call->result.code = code;
	job->result = (FhaStoreResult){.code = FHA_OK};
	(void) pthread_mutex_lock(&pool->lock);
	disk_let_go(pool, job);
	(void) pthread_mutex_unlock(&pool->lock);
	return call;
}

static DiskJob *
disk_next_ended(DiskPool *pool)
{
	DiskJob *job;
	eventfd_t count;

	(void) pthread_mutex_lock(&pool->lock);
	(void) eventfd_read(pool->ended_fd, &count);
	job = disk_pop(&pool->ended);
	/* The others are told by a later step, even if the host polls in between. */
	if (pool->ended.first != NULL)
		(void) eventfd_write(pool->ended_fd, 1);
	(void) pthread_mutex_unlock(&pool->lock);
	return job;
}

static FhaStoreCall *
disk_step(FhaStore *store)
{
	DiskPool *pool = disk_pool(store);
	DiskJob *job;

	while ((job = disk_next_ended(pool)) != NULL)
	{
		FhaCode code = job->result.code;

		if (code == FHA_OK && job->asked->request.verb == FHA_STORE_GET)
			code = disk_hand_over(pool, job);
		if (code != FHA_AGAIN || job->asked->request.verb != FHA_STORE_GET)
			return disk_settle(pool, job, code);
	}
	return NULL;
}

static void
disk_resume(FhaStore *store, FhaStoreCall *call)
{
	DiskPool *pool = disk_pool(store);
	DiskJob *job = call->try_;

	(void) pthread_mutex_lock(&pool->lock);
	if (job->state == DISK_PAUSED)
		disk_push(&pool->ended, job, DISK_ENDED);
	(void) pthread_mutex_unlock(&pool->lock);
}

static bool
disk_cancel(FhaStore *store, FhaStoreCall *call)
{
	DiskPool *pool = disk_pool(store);
	DiskJob *job = call->try_;
	bool perhaps;

	(void) pthread_mutex_lock(&pool->lock);
	perhaps = job->begun && fha_store_verb_writes(job->asked->request.verb);
	switch (job->state)
	{
		case DISK_RUNS:
			job->given_up = true;
			break;
		case DISK_QUEUED:
			disk_take_out(&pool->queue, job);
			disk_let_go(pool, job);
			break;
		case DISK_ENDED:
			disk_take_out(&pool->ended, job);
			disk_let_go(pool, job);
			break;
		case DISK_PAUSED:
			disk_let_go(pool, job);
			break;
	}
	(void) pthread_mutex_unlock(&pool->lock);
	return perhaps;
}

const FhaStoreDriver fha_store_dir_driver = {
	.handle_size = sizeof(DiskStore),
	.open = disk_open,
	.close = disk_close,
	.fd = disk_fd,
	.wake_at_ms = disk_wake_at_ms,
	.start = disk_start,
	.step = disk_step,
	.resume = disk_resume,
	.cancel = disk_cancel,
};
