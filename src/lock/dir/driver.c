/*
 * driver.c: the lock as a directory, seen from the caller's side.
 *
 * Does no I/O on the directory after open: that is its child's (lock/dir/io.h).
 * A child that does not answer in time, or dies, is killed and replaced; what a
 * hung disk keeps from dying is left behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "lock/dir/files.h"
#include "lock/dir/io.h"
#include "lock/driver.h"

#define RESPAWN_MS 100
/* So many children may hang in the kernel before no more are started. */
#define DEAD_MAX 8
#define CLOSE_WAIT_MS 5

typedef struct DirLock
{
	FhaLock base;
	char *path;
	bool watch;
	int epoll;
	int sock; /* -1: no child */
	pid_t pid;
	pid_t dead[DEAD_MAX]; /* killed, not reaped yet */
	size_t dead_count;
	int64_t respawn_at_ms;
	char *in;
	size_t in_used;
	char *out;
	size_t out_size; /* 0: no request in flight */
	size_t out_sent;
	FhaRecordSet listed;
	bool listed_short; /* no memory for some */
	FhaDirTable known; /* what the watch told; version 0: not by this child */
	bool synced;       /* by the child; the caller hears it after what is gone */
} DirLock;

static void
dead_reap(DirLock *dir)
{
	size_t left = 0;

	/* ECHILD: the caller ignores SIGCHLD or reaps all children itself. */
	for (size_t i = 0; i < dir->dead_count; i++)
		if (waitpid(dir->dead[i], NULL, WNOHANG) == 0)
			dir->dead[left++] = dir->dead[i];
	dir->dead_count = left;
}

static void
listed_forget(DirLock *dir)
{
	fha_record_set_release(&dir->listed);
	dir->listed_short = false;
}

static void
child_drop(DirLock *dir, int64_t respawn_at_ms)
{
	if (dir->sock < 0)
		return;
	(void) epoll_ctl(dir->epoll, EPOLL_CTL_DEL, dir->sock, NULL);
	(void) close(dir->sock);
	dir->sock = -1;
	/* Not reaped yet, so the pid is still our child's. */
	if (waitpid(dir->pid, NULL, WNOHANG) == 0)
	{
		(void) kill(dir->pid, SIGKILL);
		dir->dead[dir->dead_count++] = dir->pid;
	}
	dir->respawn_at_ms = respawn_at_ms;
	dir->in_used = 0;
	dir->synced = false;
	for (size_t i = 0; i < dir->known.count; i++)
		dir->known.rows[i].version = 0;
	listed_forget(dir);
}

static FhaCode
child_start(DirLock *dir, FhaError *err)
{
	struct epoll_event interest = {.events = EPOLLIN};
	sigset_t all;
	sigset_t before;
	int pair[2];
	pid_t parent = getpid();
	pid_t pid;

	dead_reap(dir);
	if (dir->dead_count == DEAD_MAX)
		/* LCOV_EXCL_START: so many hang only on a broken disk */
		return fha_error(err, FHA_IO, "%d processes hang in I/O on \"%.120s\"", DEAD_MAX,
						 dir->path);
	/* LCOV_EXCL_STOP */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		/* LCOV_EXCL_START: the kernel refuses */
		return fha_error_errno(err, FHA_IO, "could not make a socket pair");
	/* LCOV_EXCL_STOP */
	if (epoll_ctl(dir->epoll, EPOLL_CTL_ADD, pair[0], &interest) != 0)
	{
		/* LCOV_EXCL_START: the kernel refuses */
		(void) fha_error_errno(err, FHA_IO, "could not wait for a socket");
		goto out;
		/* LCOV_EXCL_STOP */
	}
	/* The caller's signal handlers must not run in the child. */
	(void) sigfillset(&all);
	(void) sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		fha_dir_child_run(pair[1], dir->path, dir->watch, parent);
	if (pid < 0)
		/* LCOV_EXCL_START: the kernel refuses */
		(void) fha_error_errno(err, FHA_IO, "could not start the lock's I/O process");
	/* LCOV_EXCL_STOP */
	(void) sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
	{
		/* LCOV_EXCL_START: the kernel refuses */
		(void) epoll_ctl(dir->epoll, EPOLL_CTL_DEL, pair[0], NULL);
		goto out;
	}
	(void) close(pair[1]);
	dir->sock = pair[0];
	dir->pid = pid;
	dir->out_sent = 0;
	return FHA_OK;
out:
	(void) close(pair[0]);
	(void) close(pair[1]);
	return FHA_IO;
	/* LCOV_EXCL_STOP */
}

/* Let the epoll descriptor be readable when there is room for what is left to send. */
static bool
out_wait(DirLock *dir)
{
	bool more = dir->out_sent < dir->out_size;
	struct epoll_event interest = {.events = more ? EPOLLIN | EPOLLOUT : EPOLLIN};

	return epoll_ctl(dir->epoll, EPOLL_CTL_MOD, dir->sock, &interest) == 0;
}

/* False: the child is gone. */
static bool
out_send(DirLock *dir)
{
	while (dir->out_sent < dir->out_size)
	{
		ssize_t put = send(dir->sock, dir->out + dir->out_sent, dir->out_size - dir->out_sent,
						   MSG_DONTWAIT | MSG_NOSIGNAL);

		if (put > 0)
			dir->out_sent += (size_t) put;
		else if (errno == EAGAIN)
			return out_wait(dir);
		else if (errno != EINTR)
			return false;
		if (dir->out_sent == dir->out_size)
			return out_wait(dir);
	}
	return true;
}

static bool
frame_sane(const FhaDirFrame *frame)
{
	return frame->kind <= FHA_DIR_SYNCED && frame->verb <= FHA_LOCK_LIST &&
		   frame->code <= FHA_NO_MEMORY && frame->size <= FHA_RECORD_DATA_MAX &&
		   memchr(frame->name, '\0', sizeof(frame->name)) != NULL &&
		   memchr(frame->text, '\0', sizeof(frame->text)) != NULL;
}

/* OK: one frame is complete in dir->in; AGAIN; IO: the child is gone or mad. */
static FhaCode
in_read(DirLock *dir)
{
	const FhaDirFrame *frame = (const void *) dir->in;

	for (;;)
	{
		size_t want = sizeof(*frame);
		ssize_t got;

		if (dir->in_used >= want)
		{
			if (!frame_sane(frame))
				return FHA_IO; /* LCOV_EXCL_LINE: our own child sends no such frame */
			want += frame->size;
		}
		if (dir->in_used == want)
			return FHA_OK;
		got = recv(dir->sock, dir->in + dir->in_used, want - dir->in_used, MSG_DONTWAIT);
		if (got > 0)
			dir->in_used += (size_t) got;
		else if (got < 0 && errno == EAGAIN)
			return FHA_AGAIN;
		else if (got == 0 || errno != EINTR)
			return FHA_IO;
	}
}

static void
dir_answer(DirLock *dir, FhaLockEvent *event, FhaCode code, const char *text)
{
	dir->out_size = 0;
	dir->out_sent = 0;
	listed_forget(dir);
	(void) fha_lock_answer(&dir->base, event, code, text);
}

static bool
record_add(FhaRecordSet *set, const FhaDirFrame *frame)
{
	char version[FHA_VERSION_SIZE] = "";

	if (frame->version != 0)
		(void) snprintf(version, sizeof(version), "%" PRIu64, frame->version);
	return fha_record_set_add(set, frame->name, version, (const char *) frame + sizeof(*frame),
							  frame->size);
}

static void
answer_take(DirLock *dir, const FhaDirFrame *frame, FhaLockEvent *event)
{
	FhaCode code = (FhaCode) frame->code;
	const char *text = frame->text;

	if (code == FHA_OK && dir->base.verb == FHA_LOCK_LIST)
	{
		if (dir->listed_short)
			code = FHA_NO_MEMORY;
		else
		{
			dir->base.records = dir->listed;
			dir->listed = (FhaRecordSet){0};
		}
	}
	else if (code == FHA_OK && !record_add(&dir->base.records, frame))
		/* A write that was applied must not be called "certainly not applied". */
		code = fha_lock_verb_writes(dir->base.verb) ? FHA_UNKNOWN : FHA_NO_MEMORY;
	if (code != (FhaCode) frame->code)
		text = "out of memory";
	dir_answer(dir, event, code, text);
}

static bool
change_take(DirLock *dir, const FhaDirFrame *frame, FhaLockEvent *event)
{
	FhaDirEntry *entry = fha_dir_table_put(&dir->known, frame->name);

	if (entry == NULL || !record_add(&dir->base.records, frame))
		return false;
	entry->version = frame->version;
	if (frame->version == 0)
		fha_dir_table_delete(&dir->known, entry);
	*event = (FhaLockEvent){
		.kind = FHA_LOCK_CHANGE, .code = FHA_OK, .count = 1, .records = dir->base.records.rows};
	return true;
}

typedef enum Taken
{
	TAKEN_EVENT,
	TAKEN_NOTHING,
	TAKEN_CHILD_UNFIT
} Taken;

/*
 * The frame in dir->in.  A change that finds no memory must not be lost: the
 * child is then replaced, and tells everything anew.
 */
static Taken
frame_take(DirLock *dir, FhaLockEvent *event)
{
	const FhaDirFrame *frame = (const void *) dir->in;
	bool expected = dir->base.busy && frame->verb == dir->base.verb;

	dir->in_used = 0;
	switch ((FhaDirKind) frame->kind)
	{
		case FHA_DIR_LISTED:
			if (!expected)
				return TAKEN_CHILD_UNFIT; /* LCOV_EXCL_LINE: our own child sends no such frame */
			if (!record_add(&dir->listed, frame))
				dir->listed_short = true;
			return TAKEN_NOTHING;
		case FHA_DIR_ANSWER:
			if (!expected)
				return TAKEN_CHILD_UNFIT; /* LCOV_EXCL_LINE: our own child sends no such frame */
			answer_take(dir, frame, event);
			return TAKEN_EVENT;
		case FHA_DIR_CHANGE:
			return change_take(dir, frame, event) ? TAKEN_EVENT : TAKEN_CHILD_UNFIT;
		case FHA_DIR_SYNCED:
			dir->synced = true;
			return TAKEN_NOTHING;
		/* LCOV_EXCL_START: our own child sends no such frame */
		case FHA_DIR_REQUEST:
			break;
	}
	return TAKEN_CHILD_UNFIT;
	/* LCOV_EXCL_STOP */
}

/* After SYNCED: what an earlier child told and this one did not is deleted. */
static Taken
synced_take(DirLock *dir, FhaLockEvent *event)
{
	if (!dir->synced)
		return TAKEN_NOTHING;
	for (size_t i = 0; i < dir->known.count; i++)
	{
		FhaDirEntry *entry = &dir->known.rows[i];

		if (entry->version != 0)
			continue;
		if (!fha_record_set_add(&dir->base.records, entry->name, "", NULL, 0))
			return TAKEN_CHILD_UNFIT;
		fha_dir_table_delete(&dir->known, entry);
		*event = (FhaLockEvent){
			.kind = FHA_LOCK_CHANGE, .code = FHA_OK, .count = 1, .records = dir->base.records.rows};
		return TAKEN_EVENT;
	}
	dir->synced = false;
	*event = (FhaLockEvent){.kind = FHA_LOCK_SYNCED, .code = FHA_OK};
	return TAKEN_EVENT;
}

/*
 * Replace a child that is gone.  It does nothing before the whole request is
 * there, and a read may be repeated: only of a whole write is the fate unknown.
 */
static bool
child_lost(DirLock *dir, FhaLockEvent *event)
{
	bool sent = dir->base.busy && dir->out_sent == dir->out_size;

	child_drop(dir, fha_now_ms() + RESPAWN_MS);
	dir->out_sent = 0;
	if (!sent || !fha_lock_verb_writes(dir->base.verb))
		return false;
	dir_answer(dir, event, FHA_UNKNOWN, "the lock's I/O process died during the write");
	return true;
}

static FhaCode
deadline_check(DirLock *dir, FhaLockEvent *event)
{
	bool writes = fha_lock_verb_writes(dir->base.verb);
	int64_t now_ms = fha_now_ms();

	if (!dir->base.busy || now_ms < dir->base.deadline_at_ms)
		return FHA_AGAIN;
	child_drop(dir, now_ms);
	dir_answer(dir, event, writes ? FHA_UNKNOWN : FHA_TIMEOUT,
			   "the directory did not answer before the deadline");
	return FHA_OK;
}

static FhaCode
dir_step(FhaLock *lock, FhaLockEvent *event)
{
	DirLock *dir = (DirLock *) lock;
	FhaError err;

	dead_reap(dir);
	for (;;)
	{
		FhaCode code;
		Taken taken;

		if (dir->sock < 0)
		{
			if (fha_now_ms() < dir->respawn_at_ms)
				return deadline_check(dir, event);
			if (child_start(dir, &err) != FHA_OK)
			{
				/* LCOV_EXCL_START: the kernel refuses */
				dir->respawn_at_ms = fha_now_ms() + RESPAWN_MS;
				if (!dir->base.busy)
					return FHA_AGAIN;
				dir_answer(dir, event, FHA_IO, err.text);
				return FHA_OK;
				/* LCOV_EXCL_STOP */
			}
		}
		taken = synced_take(dir, event);
		if (taken == TAKEN_NOTHING)
		{
			/* What is left in the socket of a dead child is read before its end is noticed. */
			code = in_read(dir);
			if (code == FHA_AGAIN && out_send(dir))
				return deadline_check(dir, event);
			taken = code == FHA_OK ? frame_take(dir, event) : TAKEN_CHILD_UNFIT;
		}
		if (taken == TAKEN_EVENT || (taken == TAKEN_CHILD_UNFIT && child_lost(dir, event)))
			return FHA_OK;
	}
}

static FhaCode
dir_start(FhaLock *lock, const FhaLockRequest *request, FhaError *err)
{
	DirLock *dir = (DirLock *) lock;
	FhaDirFrame *frame = (void *) dir->out;
	bool writes = fha_lock_verb_writes(request->verb);

	*frame = (FhaDirFrame){.kind = FHA_DIR_REQUEST, .verb = request->verb};
	if (request->verb != FHA_LOCK_LIST)
	{
		if (strlen(request->name) >= FHA_DIR_NAME_SIZE)
			return fha_error(err, FHA_INVALID,
							 "\"%.60s...\": in a directory, names have at most %d characters",
							 request->name, FHA_DIR_NAME_SIZE - 1);
		(void) snprintf(frame->name, sizeof(frame->name), "%s", request->name);
	}
	if (request->verb == FHA_LOCK_SWAP)
	{
		char canonical[FHA_VERSION_SIZE];

		frame->version = strtoull(request->version, NULL, 10);
		(void) snprintf(canonical, sizeof(canonical), "%" PRIu64, frame->version);
		if (strcmp(canonical, request->version) != 0 || frame->version == 0 ||
			frame->version >= INT64_MAX - 1)
			return fha_error(err, FHA_INVALID, "\"%.60s\" is not a version", request->version);
	}
	if (writes)
	{
		frame->size = (uint32_t) request->size;
		memcpy(dir->out + sizeof(*frame), request->data, request->size);
	}
	dir->out_size = sizeof(*frame) + frame->size;
	dir->out_sent = 0;
	/* A child that is gone is noticed by the next step. */
	if (dir->sock >= 0)
		(void) out_send(dir);
	return FHA_OK;
}

static int
dir_fd(const FhaLock *lock)
{
	return ((const DirLock *) lock)->epoll;
}

static int64_t
dir_wake_at_ms(const FhaLock *lock)
{
	const DirLock *dir = (const DirLock *) lock;
	int64_t wake_at_ms = lock->busy ? lock->deadline_at_ms : INT64_MAX;

	if (dir->sock < 0 && dir->respawn_at_ms < wake_at_ms)
		wake_at_ms = dir->respawn_at_ms;
	return wake_at_ms;
}

static void
dir_close(FhaLock *lock)
{
	DirLock *dir = (DirLock *) lock;
	const struct timespec millisecond = {.tv_nsec = 1000000};

	child_drop(dir, INT64_MAX);
	/* A healthy child dies at once: leave no zombie, but do not wait for one that hangs. */
	dead_reap(dir);
	for (int i = 0; i < CLOSE_WAIT_MS && dir->dead_count > 0; i++)
	{
		(void) nanosleep(&millisecond, NULL);
		dead_reap(dir);
	}
	if (dir->epoll >= 0)
		(void) close(dir->epoll);
	fha_dir_table_release(&dir->known);
	free(dir->path);
	free(dir->in);
	free(dir->out);
	free(dir);
}

/* NOT_FOUND: it may be there later, as a mount is. */
static FhaCode
directory_look(const char *path, FhaError *err)
{
	FhaCode code;
	int fd;

	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		/* Never made here: a typing error would found a second cluster, a lost mount hide the first. */
		return fha_error_errno(
			err, fha_dir_may_come_back(errno) ? FHA_NOT_FOUND : FHA_IO,
			"could not open the lock directory \"%.120s\" (it must exist, and be "
			"the nodes' own)",
			path);
	code = fha_dir_check_local(fd, path, err);
	if (code == FHA_OK)
		code = fha_dir_check_closed(fd, path, err);
	(void) close(fd);
	return code;
}

static FhaCode
dir_open(FhaLock **out, const char *path, const char *cluster, bool watch, FhaError *err)
{
	FhaCode code = fha_lock_dir_check(path, err);
	DirLock *dir;

	(void) cluster;
	if (code == FHA_OK)
		code = directory_look(path, err);
	/* A member that starts during an outage goes through it as one that ran before does. */
	if (code == FHA_NOT_FOUND && watch)
		code = FHA_OK;
	if (code != FHA_OK)
		return code == FHA_NOT_FOUND ? FHA_IO : code;
	dir = calloc(1, sizeof(*dir));
	if (dir == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	dir->base.driver = &fha_lock_dir_driver;
	dir->watch = watch;
	dir->sock = -1;
	dir->path = strdup(path);
	dir->in = malloc(FHA_DIR_BUFFER_SIZE);
	dir->out = malloc(FHA_DIR_BUFFER_SIZE);
	dir->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (dir->path == NULL || dir->in == NULL || dir->out == NULL)
		code = fha_error(err, FHA_NO_MEMORY, "out of memory");
	else if (dir->epoll < 0)
		/* LCOV_EXCL_START: the kernel refuses */
		code = fha_error_errno(err, FHA_IO, "could not make an epoll descriptor");
	/* LCOV_EXCL_STOP */
	else
		code = child_start(dir, err);
	if (code == FHA_OK)
		*out = &dir->base;
	else
		dir_close(&dir->base);
	return code; /* analyzer: no leak, dir begins with its base */
}

const FhaLockDriver fha_lock_dir_driver = {.open = dir_open,
										   .close = dir_close,
										   .fd = dir_fd,
										   .wake_at_ms = dir_wake_at_ms,
										   .start = dir_start,
										   .step = dir_step};
