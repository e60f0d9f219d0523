/*
 * io.c: the child that does the I/O of a directory lock.
 *
 * It may hang in a system call or be stopped: the other side then kills it and
 * starts another.  It has nothing of its parent but the socket, whose end is its
 * end.
 */
#include "lock/dir/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lock/dir/files.h"

/* How soon to look again when the directory cannot be read or watched. */
#define RETRY_MS 200
#define TOLD_NOTHING UINT64_MAX
#define SOCKET_FD 3

typedef struct Child
{
	FhaDirFiles files;
	char *in;
	size_t in_used;
	char *out;
	size_t out_size; /* 0: nothing to send */
	size_t out_sent;
	FhaDirTable list;
	size_t listed;
	bool listing;
	bool watch;
	int inotify; /* -1: not watching */
	bool dirty;  /* the directory changed since the last scan */
	bool retry;  /* which failed */
	bool synced;
	FhaDirTable records; /* the watch */
	char prune[FHA_RECORD_NAME_SIZE];
} Child;

/* Keep nothing that keeps something alive: descriptors carry the caller's file locks. */
static void
become_child(int sock, pid_t parent)
{
	static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGXFSZ};
	sigset_t none;
	int null;

	for (int i = 1; i < NSIG; i++)
		(void) signal(i, SIG_DFL);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void) signal(ignored[i], SIG_IGN);
	(void) prctl(PR_SET_NAME, "fawkes_ha lock");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(1); /* LCOV_EXCL_LINE: the parent has just died */
	if (sock != SOCKET_FD && dup2(sock, SOCKET_FD) < 0)
		_exit(1); /* LCOV_EXCL_LINE: the kernel refuses */
	closefrom(SOCKET_FD + 1);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < SOCKET_FD; i++)
		if (null < 0)
			(void) close(i);
		else if (null != i)
			(void) dup2(null, i);
	if (null > SOCKET_FD)
		(void) close(null);
	(void) sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL);
}

static FhaDirFrame *
out_frame(Child *child)
{
	return (FhaDirFrame *) (void *) child->out;
}

static char *
out_data(Child *child)
{
	return child->out + sizeof(FhaDirFrame);
}

static void
put_frame(Child *child, FhaDirKind kind, FhaLockVerb verb, const char *name, uint64_t version,
		  size_t size)
{
	FhaDirFrame *frame = out_frame(child);

	*frame = (FhaDirFrame){.kind = kind, .verb = verb, .size = (uint32_t) size, .version = version};
	memcpy(frame->name, name, strlen(name) + 1);
	child->out_size = sizeof(*frame) + size;
	child->out_sent = 0;
}

static void
put_answer(Child *child, FhaLockVerb verb, FhaCode code, const FhaError *err)
{
	put_frame(child, FHA_DIR_ANSWER, verb, "", 0, 0);
	out_frame(child)->code = code;
	if (code != FHA_OK)
		memcpy(out_frame(child)->text, err->text, sizeof(err->text));
}

/* Start the watch anew: everything is to be told again. */
static void
watch_reset(Child *child)
{
	const uint32_t events = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF |
							IN_MOVE_SELF | IN_ONLYDIR;

	if (child->inotify >= 0)
		(void) close(child->inotify);
	child->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (child->inotify >= 0 && inotify_add_watch(child->inotify, child->files.path, events) < 0)
	{
		/* LCOV_EXCL_START: the kernel refuses */
		(void) close(child->inotify);
		child->inotify = -1;
		/* LCOV_EXCL_STOP */
	}
	for (size_t i = 0; i < child->records.count; i++)
		child->records.rows[i].told = TOLD_NOTHING;
	child->dirty = true;
	child->synced = false;
}

static FhaCode
directory_open(Child *child, FhaError *err)
{
	bool anew;
	FhaCode code = fha_dir_files_open(&child->files, &anew, err);

	if (code == FHA_OK && anew && child->watch)
		watch_reset(child);
	return code;
}

static FhaCode
child_get(Child *child, const char *name, FhaError *err)
{
	uint64_t version = 0;
	size_t size = 0;
	FhaCode code;

	do
	{
		code = fha_dir_files_newest(&child->files, name, &version, err);
		if (code == FHA_OK && version == 0)
			return fha_error(err, FHA_NOT_FOUND, "there is no record \"%.120s\"", name);
		if (code == FHA_OK)
			code = fha_dir_files_read(&child->files, name, version, out_data(child), &size, err);
	} while (code == FHA_NOT_FOUND);
	if (code == FHA_OK)
		put_frame(child, FHA_DIR_ANSWER, FHA_LOCK_GET, name, version, size);
	return code;
}

static FhaCode
list_start(Child *child, FhaError *err)
{
	FhaCode code;

	fha_dir_table_release(&child->list);
	code = fha_dir_files_scan(&child->files, &child->list, err);
	if (code == FHA_OK && child->list.count > FHA_RECORD_COUNT_MAX)
		code = fha_error(err, FHA_PROTOCOL, "\"%.120s\" has more than %d records",
						 child->files.path, FHA_RECORD_COUNT_MAX);
	child->listed = 0;
	child->listing = code == FHA_OK;
	return code;
}

static void
list_continue(Child *child)
{
	FhaError err;
	FhaCode code = FHA_NOT_FOUND;

	while (code == FHA_NOT_FOUND && child->listed < child->list.count)
	{
		const char *name = child->list.rows[child->listed++].name;

		code = child_get(child, name, &err);
		if (code == FHA_OK)
		{
			out_frame(child)->kind = FHA_DIR_LISTED;
			out_frame(child)->verb = FHA_LOCK_LIST;
			return;
		}
	}
	child->listing = false;
	put_answer(child, FHA_LOCK_LIST, code == FHA_NOT_FOUND ? FHA_OK : code, &err);
}

static void
request_serve(Child *child)
{
	const FhaDirFrame *request = (const void *) child->in;
	FhaLockVerb verb = (FhaLockVerb) request->verb;
	FhaError err;
	FhaCode code = directory_open(child, &err);

	child->in_used = 0;
	if (code == FHA_OK)
	{
		if (verb == FHA_LOCK_LIST)
		{
			code = list_start(child, &err);
			if (code == FHA_OK)
				return;
		}
		else if (verb == FHA_LOCK_GET)
		{
			code = child_get(child, request->name, &err);
			if (code == FHA_OK)
				return;
		}
		else
		{
			code = fha_dir_files_write(&child->files, request->name, request->version,
									   child->in + sizeof(*request), request->size, &err);
			if (code == FHA_OK)
			{
				put_frame(child, FHA_DIR_ANSWER, verb, request->name, request->version + 1, 0);
				memcpy(child->prune, request->name, sizeof(child->prune));
				return;
			}
		}
	}
	put_answer(child, verb, code, &err);
}

static void
watch_scan(Child *child)
{
	FhaError err;

	child->retry = directory_open(child, &err) != FHA_OK ||
				   fha_dir_files_scan(&child->files, &child->records, &err) != FHA_OK;
	child->dirty = child->retry;
}

/* Put the next record that changed, or SYNCED, into the empty out buffer. */
static void
watch_tell(Child *child)
{
	FhaError err;

	if (child->dirty)
		watch_scan(child);
	for (size_t i = 0; i < child->records.count && !child->dirty; i++)
	{
		FhaDirEntry *entry = &child->records.rows[i];
		size_t size = 0;

		if (entry->version == entry->told)
			continue;
		/* What cannot be read is told as empty: there is such a record. */
		if (entry->version != 0 &&
			fha_dir_files_read(&child->files, entry->name, entry->version, out_data(child), &size,
							   &err) == FHA_NOT_FOUND)
		{
			child->dirty = true; /* LCOV_EXCL_LINE: a record pruned in between */
			return;
		}
		entry->told = entry->version;
		put_frame(child, FHA_DIR_CHANGE, FHA_LOCK_GET, entry->name, entry->version, size);
		if (entry->version == 0)
			fha_dir_table_delete(&child->records, entry);
		return;
	}
	if (!child->dirty && !child->synced)
	{
		put_frame(child, FHA_DIR_SYNCED, FHA_LOCK_GET, "", 0, 0);
		child->synced = true;
	}
}

static void
watch_read(Child *child)
{
	_Alignas(struct inotify_event) char buffer[64 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
	ssize_t got;

	while ((got = read(child->inotify, buffer, sizeof(buffer))) > 0)
	{
		for (ssize_t at = 0; at < got;)
		{
			const struct inotify_event *event = (const void *) (buffer + at);

			if (event->len == 0 || event->name[0] != '.')
				child->dirty = true;
			at += (ssize_t) (sizeof(*event) + event->len);
		}
	}
}

static size_t
request_size(const Child *child)
{
	const FhaDirFrame *request = (const void *) child->in;

	if (child->in_used < sizeof(*request))
		return sizeof(*request);
	if (request->size > FHA_RECORD_DATA_MAX)
		_exit(1); /* LCOV_EXCL_LINE: our own parent sends no such frame */
	return sizeof(*request) + request->size;
}

static bool
request_complete(const Child *child)
{
	return child->in_used >= sizeof(FhaDirFrame) && child->in_used == request_size(child);
}

static void
socket_read(Child *child)
{
	while (!request_complete(child))
	{
		ssize_t got = recv(SOCKET_FD, child->in + child->in_used,
						   request_size(child) - child->in_used, MSG_DONTWAIT);

		if (got > 0)
			child->in_used += (size_t) got;
		else if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		else
			_exit(0);
	}
}

static void
socket_write(Child *child)
{
	ssize_t put = send(SOCKET_FD, child->out + child->out_sent, child->out_size - child->out_sent,
					   MSG_DONTWAIT | MSG_NOSIGNAL);

	if (put > 0)
		child->out_sent += (size_t) put;
	/* LCOV_EXCL_START: the parent has just died */
	else if (put < 0 && errno != EAGAIN && errno != EINTR)
		_exit(0);
	/* LCOV_EXCL_STOP */
	if (child->out_sent == child->out_size)
		child->out_size = 0;
}

static bool
has_work(const Child *child)
{
	return child->listing || request_complete(child) || child->prune[0] != '\0';
}

/* Requests first; the watch waits, and what it has not told yet it tells as one. */
static void
out_fill(Child *child)
{
	while (child->out_size == 0 && has_work(child))
	{
		if (child->listing)
			list_continue(child);
		else if (request_complete(child))
			request_serve(child);
		else
		{
			fha_dir_files_prune(&child->files, child->prune);
			child->prune[0] = '\0';
		}
	}
	if (child->out_size == 0 && child->watch)
		watch_tell(child);
}

void
fha_dir_child_run(int sock, const char *path, bool watch, pid_t parent)
{
	Child child = {.watch = watch, .dirty = true, .inotify = -1};
	FhaError err;

	become_child(sock, parent);
	child.in = malloc(FHA_DIR_BUFFER_SIZE);
	child.out = malloc(FHA_DIR_BUFFER_SIZE);
	if (child.in == NULL || child.out == NULL ||
		fha_dir_files_init(&child.files, path, &err) != FHA_OK)
		_exit(1);
	for (;;)
	{
		struct pollfd wait[2] = {{.fd = SOCKET_FD, .events = POLLIN}, {.events = POLLIN}};
		int timeout = -1;

		if (child.out_size == 0)
			out_fill(&child);
		if (child.out_size > 0)
			wait[0].events = POLLIN | POLLOUT;
		else if (watch && (child.retry || child.inotify < 0))
			timeout = RETRY_MS;
		else if (watch && child.dirty)
			timeout = 0; /* LCOV_EXCL_LINE: the disk is asked again: test_attacks_disk */
		/* A complete request in hand: nothing more is to come but the end. */
		if (request_complete(&child))
			/* LCOV_EXCL_START: the disk is asked again: test_attacks_disk */
			wait[0].events &= ~POLLIN;
		/* LCOV_EXCL_STOP */
		wait[1].fd = child.inotify;
		if (poll(wait, 2, timeout) == 0 && timeout == RETRY_MS)
			child.dirty = true;
		if ((wait[0].revents & POLLIN) != 0)
			socket_read(&child);
		else if ((wait[0].revents & (POLLHUP | POLLERR)) != 0)
			_exit(0); /* LCOV_EXCL_LINE: the parent has just died */
		if ((wait[0].revents & POLLOUT) != 0)
			socket_write(&child);
		if ((wait[1].revents & POLLIN) != 0)
			watch_read(&child);
	}
}
