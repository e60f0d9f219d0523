/*
 * process.c: run programs, with a deadline.
 */
#include "cli/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

/* After SIGKILL: long enough for the kernel, short enough for a process in D state. */
#define KILL_WAIT_MS 1000
/* Deadlines of those who are served meanwhile are looked at this often. */
#define MEANWHILE_MS 100

extern char **environ;

/*
 * What libpq and postgres obey although our arguments say where to go and how: PGHOST, PGSSLMODE and
 * whatever a later version adds.  PG_OOM_ADJUST_FILE and its kin are for the server, and stay.
 */
static bool
is_disturbing(const char *variable)
{
	return strncmp(variable, "PG", 2) == 0 && variable[2] >= 'A' && variable[2] <= 'Z';
}

static bool
same_name(const char *variable, const char *name)
{
	size_t length = strcspn(name, "=");

	return strncmp(variable, name, length) == 0 && variable[length] == '=';
}

char **
process_environment(const char *const extra[])
{
	size_t count = 0;
	size_t more = 0;
	size_t used = 0;
	char **out;

	while (environ[count] != NULL)
		count++;
	while (extra != NULL && extra[more] != NULL)
		more++;
	out = calloc(count + more + 1, sizeof(*out));
	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < count; i++)
	{
		bool wanted = !is_disturbing(environ[i]);

		for (size_t j = 0; j < more; j++)
			wanted = wanted && !same_name(environ[i], extra[j]);
		if (wanted)
			out[used++] = environ[i];
	}
	/* execve takes char *const[], and changes nothing. */
	if (more > 0)
		memcpy(out + used, extra, more * sizeof(*out));
	return out;
}

void
process_reset_signals(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		if (number != SIGKILL && number != SIGSTOP)
			(void) sigaction(number, &action, NULL);
	(void) sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL);
}

void
process_describe(int status, char *out, size_t size)
{
	if (WIFEXITED(status))
		(void) snprintf(out, size, "exited with status %d", WEXITSTATUS(status));
	else
		(void) snprintf(out, size, "was killed by signal %d", WTERMSIG(status));
}

/* Die when the parent does; `parent` is its id, in case that it already has. */
static void
die_with(pid_t parent)
{
	(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
}

typedef struct Pipes
{
	int out[2];
	int errors[2];
	int failure[2]; /* the child's errno, when it could not become the program */
	int null;
} Pipes;

static void
close_one(int *fd)
{
	if (*fd >= 0)
		(void) close(*fd);
	*fd = -1;
}

static void
pipes_close(Pipes *pipes)
{
	for (int i = 0; i < 2; i++)
	{
		close_one(&pipes->out[i]);
		close_one(&pipes->errors[i]);
		close_one(&pipes->failure[i]);
	}
	close_one(&pipes->null);
}

static bool
pipes_open(Pipes *pipes)
{
	*pipes = (Pipes){{-1, -1}, {-1, -1}, {-1, -1}, -1};
	if (pipe2(pipes->out, O_CLOEXEC) != 0 || pipe2(pipes->errors, O_CLOEXEC) != 0 ||
		pipe2(pipes->failure, O_CLOEXEC) != 0)
		return false;
	pipes->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return pipes->null >= 0 && fcntl(pipes->out[0], F_SETFL, O_NONBLOCK) == 0 &&
		   fcntl(pipes->errors[0], F_SETFL, O_NONBLOCK) == 0;
}

static void
process_become(const char *const argv[], char *const environment[], const Pipes *pipes,
			   pid_t parent)
{
	char **arguments;
	int reason;

	(void) setpgid(0, 0);
	die_with(parent);
	process_reset_signals();
	if (dup2(pipes->null, STDIN_FILENO) >= 0 && dup2(pipes->out[1], STDOUT_FILENO) >= 0 &&
		dup2(pipes->errors[1], STDERR_FILENO) >= 0)
	{
		memcpy(&arguments, &argv, sizeof(arguments));
		(void) execve(argv[0], arguments, environment);
	}
	reason = errno;
	if (write(pipes->failure[1], &reason, sizeof(reason)) < 0)
		_exit(126);
	_exit(127);
}

/* Everything that can be read now.  Closes at the end of the stream. */
static void
pipe_drain(int *fd, const ProcessOutput *output)
{
	char buffer[8192];

	while (*fd >= 0)
	{
		ssize_t got = read(*fd, buffer, sizeof(buffer));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0)
			close_one(fd);
		else if (output->sink != NULL)
			output->sink(output->argument, buffer, (size_t) got);
	}
}

static struct
{
	int fd;
	void (*serve)(void *argument);
	void *argument;
} meanwhile = {.fd = -1};

void
process_serve_meanwhile(int fd, void (*serve)(void *argument), void *argument)
{
	meanwhile.fd = fd;
	meanwhile.serve = serve;
	meanwhile.argument = argument;
}

static bool (*end_asked)(void) = NULL;

void
process_end_when(bool (*asked)(void))
{
	end_asked = asked;
}

static int
wait_time(int64_t deadline_at_ms)
{
	int64_t left_ms = deadline_at_ms - fha_now_ms();
	int64_t most_ms = meanwhile.fd >= 0 || end_asked != NULL ? MEANWHILE_MS : INT_MAX;

	if (left_ms <= 0)
		return 0;
	return left_ms > most_ms ? (int) most_ms : (int) left_ms;
}

/* Until the process behind pidfd has ended; false: the deadline came first. */
static bool
pipes_attend(Pipes *pipes, int pidfd, int64_t deadline_at_ms, const ProcessOutput *out,
			 const ProcessOutput *errors)
{
	for (;;)
	{
		struct pollfd fds[] = {{.fd = pidfd, .events = POLLIN},
							   {.fd = pipes->out[0], .events = POLLIN},
							   {.fd = pipes->errors[0], .events = POLLIN},
							   {.fd = meanwhile.fd, .events = POLLIN}};
		int ready = poll(fds, 4, wait_time(deadline_at_ms));

		if (ready < 0 && errno != EINTR)
			return false;
		if (meanwhile.fd >= 0)
			meanwhile.serve(meanwhile.argument);
		pipe_drain(&pipes->out[0], out);
		pipe_drain(&pipes->errors[0], errors);
		if (ready > 0 && fds[0].revents != 0)
		{
			/* Its last words; a descendant that keeps the pipe open is not waited for. */
			pipe_drain(&pipes->out[0], out);
			pipe_drain(&pipes->errors[0], errors);
			return true;
		}
		if (fha_now_ms() >= deadline_at_ms || (end_asked != NULL && end_asked()))
			return false;
	}
}

/*
 * A process that kills the group when we die.  The program itself would die with us, but
 * not what it started: the receiver of an orphaned pg_basebackup was seen to live on, with
 * the liveness lock in its hands.  Returns its id; it lives until *line is closed or it is killed.
 */
static pid_t
post_guard(pid_t group, int *line)
{
	int ends[2];
	char byte;
	pid_t guard;

	*line = -1;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	guard = fork();
	if (guard == 0)
	{
		(void) setpgid(0, 0);
		process_reset_signals();
		(void) close(ends[1]);
		while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
			;
		(void) kill(-group, SIGKILL);
		_exit(0);
	}
	(void) close(ends[0]);
	if (guard < 0)
		(void) close(ends[1]);
	else
		*line = ends[1];
	return guard;
}

static void
dismiss_guard(pid_t guard, int *line)
{
	if (guard > 0)
	{
		(void) kill(guard, SIGKILL);
		while (waitpid(guard, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close_one(line);
}

FhaCode
process_stream(const char *const argv[], int64_t deadline_at_ms, ProcessOutput out,
			   ProcessOutput errors, int *status, FhaError *err)
{
	static const char *const extra[] = {"LC_ALL=C", NULL};
	FhaCode code = FHA_OK;
	char **environment = process_environment(extra);
	pid_t parent = getpid();
	int reason = 0;
	int pidfd;
	int line;
	pid_t guard;
	pid_t child;
	Pipes pipes;

	if (environment == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	if (!pipes_open(&pipes))
	{
		code = fha_error_errno(err, FHA_IO, "could not make a pipe for %.80s", argv[0]);
		pipes_close(&pipes);
		free(environment);
		return code;
	}
	child = fork();
	if (child == 0)
		process_become(argv, environment, &pipes, parent);
	free(environment);
	if (child < 0)
	{
		code = fha_error_errno(err, FHA_IO, "could not start a process for %.80s", argv[0]);
		pipes_close(&pipes);
		return code;
	}
	/* Here too, so that the group exists whoever runs first. */
	(void) setpgid(child, child);
	close_one(&pipes.out[1]);
	close_one(&pipes.errors[1]);
	close_one(&pipes.failure[1]);

	guard = post_guard(child, &line);
	pidfd = pidfd_open(child, 0);
	if (pidfd < 0 || guard < 0)
		code = fha_error_errno(err, FHA_IO, "could not watch %.80s", argv[0]);
	else if (!pipes_attend(&pipes, pidfd, deadline_at_ms, &out, &errors))
		code = fha_error(err, FHA_TIMEOUT, "%.80s took too long and was killed", argv[0]);
	dismiss_guard(guard, &line);
	if (code != FHA_OK)
	{
		struct pollfd end = {.fd = pidfd, .events = POLLIN};

		(void) kill(-child, SIGKILL);
		(void) kill(child, SIGKILL);
		if (pidfd >= 0)
			(void) poll(&end, 1, KILL_WAIT_MS);
		*status = 0;
		(void) waitpid(child, status, WNOHANG);
	}
	else
	{
		while (waitpid(child, status, 0) < 0 && errno == EINTR)
			;
		if (read(pipes.failure[0], &reason, sizeof(reason)) == (ssize_t) sizeof(reason))
		{
			errno = reason;
			code = fha_error_errno(err, FHA_IO, "could not run %.120s", argv[0]);
		}
	}
	close_one(&pidfd);
	pipes_close(&pipes);
	return code;
}

typedef struct Text
{
	char *bytes;
	size_t size;
	size_t used;
} Text;

static void
output_keep(void *argument, const char *bytes, size_t size)
{
	Text *text = argument;
	size_t room = text->size - 1 - text->used;

	if (size > room)
		size = room;
	memcpy(text->bytes + text->used, bytes, size);
	text->used += size;
	text->bytes[text->used] = '\0';
}

FhaCode
process_run(const char *const argv[], int64_t deadline_at_ms, char *out, size_t out_size,
			char *errors, size_t errors_size, int *status, FhaError *err)
{
	Text out_text = {.bytes = out, .size = out_size};
	Text error_text = {.bytes = errors, .size = errors_size};
	ProcessOutput to_out = {.argument = &out_text};
	ProcessOutput to_errors = {.argument = &error_text};

	if (out != NULL && out_size > 0)
	{
		out[0] = '\0';
		to_out.sink = output_keep;
	}
	if (errors != NULL && errors_size > 0)
	{
		errors[0] = '\0';
		to_errors.sink = output_keep;
	}
	return process_stream(argv, deadline_at_ms, to_out, to_errors, status, err);
}

pid_t
process_job(int (*work)(void *argument), void *argument, int keep_fd, FhaError *err)
{
	pid_t parent = getpid();
	pid_t child;

	(void) fflush(NULL);
	child = fork();
	if (child < 0)
	{
		(void) fha_error_errno(err, FHA_IO, "could not start a process");
		return -1;
	}
	if (child == 0)
	{
		int status;

		(void) setpgid(0, 0);
		die_with(parent);
		process_reset_signals();
		meanwhile.fd = -1;
		end_asked = NULL;
		if (keep_fd < 0)
			(void) close_range(3, ~0U, 0);
		else
		{
			if (keep_fd > 3)
				(void) close_range(3, (unsigned) keep_fd - 1, 0);
			(void) close_range((unsigned) keep_fd + 1, ~0U, 0);
		}
		status = work(argument);
		(void) fflush(NULL);
		_exit(status);
	}
	(void) setpgid(child, child);
	return child;
}

/* Is what `name` in directory `at` leads to the thing that `wanted` describes? */
static bool
entry_is_same(int at, const char *name, const struct stat *wanted)
{
	struct stat found;

	return fstatat(at, name, &found, 0) == 0 && found.st_dev == wanted->st_dev &&
		   found.st_ino == wanted->st_ino;
}

/*
 * Only what also has the name is looked at more closely: stat may wait for the filesystem, which
 * for another file may be one that hangs.
 */
static bool
has_open(pid_t pid, const char *name, const struct stat *wanted)
{
	const struct dirent *entry;
	char path[PATH_MAX];
	bool found = false;
	DIR *files;

	(void) snprintf(path, sizeof(path), "/proc/%d/fd", (int) pid);
	files = opendir(path);
	while (files != NULL && !found && (entry = readdir(files)) != NULL)
	{
		ssize_t length = readlinkat(dirfd(files), entry->d_name, path, sizeof(path) - 1);
		const char *last;

		if (length <= 0)
			continue;
		path[length] = '\0';
		last = strrchr(path, '/');
		found = last != NULL && strcmp(last + 1, name) == 0 &&
				entry_is_same(dirfd(files), entry->d_name, wanted);
	}
	if (files != NULL)
		(void) closedir(files);
	return found;
}

int
process_kill_holders(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	const struct dirent *entry;
	struct stat wanted;
	int count = 0;
	DIR *proc;

	if (stat(path, &wanted) != 0)
		return 0;
	proc = opendir("/proc");
	while (proc != NULL && (entry = readdir(proc)) != NULL)
	{
		long pid = strtol(entry->d_name, NULL, 10);
		int pidfd;

		if (pid <= 0 || pid == getpid())
			continue;
		/* Before the look, so that the signal cannot reach whoever gets the number next. */
		pidfd = pidfd_open((pid_t) pid, 0);
		if (pidfd >= 0 && has_open((pid_t) pid, name, &wanted) &&
			pidfd_send_signal(pidfd, SIGKILL, NULL, 0) == 0)
			count++;
		close_one(&pidfd);
	}
	if (proc != NULL)
		(void) closedir(proc);
	return count;
}

int
process_maps(pid_t pid, const char *part)
{
	char path[FHA_PROC_PATH_SIZE];
	char *line = NULL;
	size_t room = 0;
	int found = -1;
	FILE *file;

	(void) snprintf(path, sizeof(path), "/proc/%d/maps", (int) pid);
	file = fopen(path, "re");
	while (file != NULL && found != 1 && getline(&line, &room, file) > 0)
		found = strstr(line, part) != NULL;
	free(line);
	if (file != NULL)
		(void) fclose(file);
	return found;
}

void
process_title(pid_t pid, char *out, size_t size)
{
	char path[FHA_PROC_PATH_SIZE];
	FILE *file;
	size_t got = 0;

	(void) snprintf(path, sizeof(path), "/proc/%d/cmdline", (int) pid);
	file = fopen(path, "re");
	if (file != NULL)
	{
		got = fread(out, 1, size - 1, file);
		(void) fclose(file);
	}
	out[got] = '\0';
}

static pid_t
parent_of(const char *pid)
{
	char path[280];
	char text[512];
	size_t got = 0;
	const char *end;
	int parent = 0;
	FILE *file;

	(void) snprintf(path, sizeof(path), "/proc/%.255s/stat", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	got = fread(text, 1, sizeof(text) - 1, file);
	(void) fclose(file);
	text[got] = '\0';
	/* The name before it may contain anything, and ends at the last ")". */
	end = strrchr(text, ')');
	if (end == NULL || sscanf(end + 1, " %*c %d", &parent) != 1)
		return 0;
	return parent;
}

size_t
process_list(ProcessEntry *out, size_t max)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	size_t count = 0;

	while (proc != NULL && count < max && (entry = readdir(proc)) != NULL)
	{
		long pid = strtol(entry->d_name, NULL, 10);

		if (pid <= 0)
			continue;
		out[count].pid = (pid_t) pid;
		out[count++].parent = parent_of(entry->d_name);
	}
	if (proc != NULL)
		(void) closedir(proc);
	return count;
}

static pid_t
listed_parent(const ProcessEntry *list, size_t count, pid_t pid)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].pid == pid)
			return list[i].parent;
	return 0;
}

static bool
descends_from(const ProcessEntry *list, size_t count, pid_t pid, pid_t root)
{
	/* Numbers that came again while the list was made could make a ring of it. */
	for (int depth = 0; pid > 1 && depth < 64; depth++)
	{
		pid = listed_parent(list, count, pid);
		if (pid == root)
			return true;
	}
	return false;
}

int
process_signal_programs(const ProcessEntry *list, size_t count, pid_t root, const char *path,
						int number)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	struct stat wanted;
	int told = 0;

	if (stat(path, &wanted) != 0 || !has_open(root, name, &wanted))
		return 0;
	for (size_t i = 0; i < count; i++)
	{
		int pidfd;

		if (!descends_from(list, count, list[i].pid, root))
			continue;
		/* Before the looks, so that the signal cannot reach whoever gets the number next. */
		pidfd = pidfd_open(list[i].pid, 0);
		if (pidfd >= 0 && !has_open(list[i].pid, name, &wanted) &&
			pidfd_send_signal(pidfd, number, NULL, 0) == 0)
			told++;
		close_one(&pidfd);
	}
	return told;
}

bool
process_works_in(pid_t pid, const char *directory)
{
	char path[FHA_PROC_PATH_SIZE];
	struct stat wanted;

	(void) snprintf(path, sizeof(path), "/proc/%d/cwd", (int) pid);
	return pid > 0 && stat(directory, &wanted) == 0 && entry_is_same(AT_FDCWD, path, &wanted);
}

bool
process_read_environment(pid_t pid, const char *name, char *out, size_t size)
{
	char path[FHA_PROC_PATH_SIZE];
	char *line = NULL;
	size_t room = 0;
	size_t length = strlen(name);
	bool found = false;
	FILE *file;

	(void) snprintf(path, sizeof(path), "/proc/%d/environ", (int) pid);
	file = fopen(path, "re");
	/* The kernel caps the whole of it. */
	while (file != NULL && !found && getdelim(&line, &room, '\0', file) > 0)
		if (strncmp(line, name, length) == 0 && line[length] == '=' &&
			strlen(line + length + 1) < size)
		{
			(void) snprintf(out, size, "%s", line + length + 1);
			found = true;
		}
	free(line);
	if (file != NULL)
		(void) fclose(file);
	return found;
}
