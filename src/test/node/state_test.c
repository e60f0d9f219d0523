/*
 * state_test.c: the state directory, node.json, and the two locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "config/state_directory.h"
#include "node/state.h"

static char directory[] = "/tmp/fha-state-XXXXXX";
static FhaConfig config;

static int
make_directory(void **state)
{
	FhaError err;

	(void) state;
	if (mkdtemp(directory) == NULL)
		return -1;
	fha_config_defaults(&config);
	(void) snprintf(config.data_directory, sizeof(config.data_directory), "%s/data", directory);
	(void) snprintf(config.cluster_name, sizeof(config.cluster_name), "demo");
	(void) snprintf(config.member_name, sizeof(config.member_name), "n1");
	return fha_state_prepare(&config, &err) == FHA_OK ? 0 : -1;
}

static int
remove_directory(void **state)
{
	char command[128];

	(void) state;
	(void) snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	return system(command);
}

static const char *
path_of(const char *name)
{
	static char path[FHA_PATH_SIZE];
	FhaError err;

	assert_int_equal(fha_state_path(&config, name, path, sizeof(path), &err), FHA_OK);
	return path;
}

static void
paths_lie_beside_the_data(void **state)
{
	FhaConfig other = config;
	FhaError err;
	char path[FHA_PATH_SIZE];

	(void) state;
	(void) snprintf(other.data_directory, sizeof(other.data_directory), "/srv/data//");
	assert_int_equal(fha_state_path(&other, "seat", path, sizeof(path), &err), FHA_OK);
	assert_string_equal(path, "/srv/data.fawkes_ha/seat");
	(void) snprintf(other.state_directory, sizeof(other.state_directory), "/srv/ha/");
	assert_int_equal(fha_state_path(&other, "seat", path, sizeof(path), &err), FHA_OK);
	assert_string_equal(path, "/srv/ha/seat");
	assert_int_equal(fha_state_path(&other, "seat", path, 12, &err), FHA_INVALID);
	assert_int_equal(fha_state_directory(&other, path, 4, &err), FHA_INVALID);
	other.state_directory[0] = other.data_directory[0] = '\0';
	assert_int_equal(fha_state_path(&other, "seat", path, sizeof(path), &err), FHA_INVALID);
	memset(other.data_directory, 'x', sizeof(other.data_directory) - 1);
	other.data_directory[sizeof(other.data_directory) - 1] = '\0';
	assert_int_equal(fha_state_path(&other, "seat", path, sizeof(path), &err), FHA_INVALID);
}

static void
prepare_makes_a_private_directory(void **state)
{
	FhaError err;
	struct stat status;
	char path[FHA_PATH_SIZE];

	(void) state;
	assert_int_equal(fha_state_directory(&config, path, sizeof(path), &err), FHA_OK);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(fha_state_prepare(&config, &err), FHA_OK);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
}

static void
prepare_refuses_bad_places(void **state)
{
	FhaConfig other = config;
	FhaError err;
	char link[256];

	(void) state;
	assert_int_equal(mkdir(config.data_directory, 0700), 0);

	/* Inside the data, however it is spelled. */
	(void) snprintf(other.state_directory, sizeof(other.state_directory), "%s/data/ha", directory);
	assert_int_equal(fha_state_prepare(&other, &err), FHA_INVALID);
	assert_non_null(strstr(err.text, "inside the data directory"));
	(void) snprintf(link, sizeof(link), "%s/link", directory);
	assert_int_equal(symlink(config.data_directory, link), 0);
	(void) snprintf(other.state_directory, sizeof(other.state_directory), "%s/ha", link);
	assert_int_equal(fha_state_prepare(&other, &err), FHA_INVALID);
	assert_non_null(strstr(err.text, "inside the data directory"));

	(void) snprintf(other.state_directory, sizeof(other.state_directory), "%s/no/where", directory);
	assert_int_equal(fha_state_prepare(&other, &err), FHA_IO);
	(void) snprintf(other.state_directory, sizeof(other.state_directory), "/dev/null");
	assert_int_equal(fha_state_prepare(&other, &err), FHA_IO);
	if (geteuid() != 0)
	{
		(void) snprintf(other.state_directory, sizeof(other.state_directory), "/usr");
		assert_int_equal(fha_state_prepare(&other, &err), FHA_INVALID);
		assert_non_null(strstr(err.text, "belongs to user 0"));
	}
}

static void
network_filesystems_are_known(void **state)
{
	(void) state;
	assert_true(fha_fs_is_network(0x6969));             /* NFS */
	assert_true(fha_fs_is_network((long) 0xFF534D42));  /* CIFS */
	assert_true(fha_fs_is_network((int) 0xFF534D42));   /* CIFS where f_type has 32 bits */
	assert_true(fha_fs_is_network(0x786F4256));         /* VirtualBox's shared folders */
	assert_true(fha_fs_is_network((int) 0xBACBACBC));   /* VMware's */
	assert_false(fha_fs_is_network(0xEF53));            /* ext4 */
	assert_false(fha_fs_is_network(0x01021994));        /* tmpfs */
	assert_false(fha_fs_is_network(0x794c7630));        /* overlayfs */
	assert_false(fha_fs_is_network((long) 0x9123683E)); /* btrfs */
}

static void
replaces_files_whole(void **state)
{
	FhaError err;
	struct stat status;
	char *content;

	(void) state;
	assert_int_equal(fha_file_replace(path_of("file"), "one", 3, &err), FHA_OK);
	assert_int_equal(fha_file_replace(path_of("file"), "second", 6, &err), FHA_OK);
	assert_int_equal(fha_file_read(path_of("file"), 6, &content, &err), FHA_OK);
	assert_string_equal(content, "second");
	free(content);
	assert_int_equal(stat(path_of("file"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(fha_file_read(path_of("file"), 5, &content, &err), FHA_INVALID);
	assert_null(content);
	assert_int_equal(fha_file_replace(path_of("file"), "", 0, &err), FHA_OK);
	assert_int_equal(fha_file_read(path_of("file"), 0, &content, &err), FHA_OK);
	assert_string_equal(content, "");
	free(content);

	assert_int_equal(fha_file_read(path_of("absent"), 5, &content, &err), FHA_NOT_FOUND);
	assert_int_equal(fha_file_read(path_of(""), 5, &content, &err), FHA_IO);
	assert_int_equal(fha_file_replace("/nonexistent/file", "x", 1, &err), FHA_IO);
	assert_int_equal(mkdir(path_of("folder"), 0700), 0);
	assert_int_equal(fha_file_replace(path_of("folder"), "x", 1, &err), FHA_IO);
}

static void
removes_files(void **state)
{
	FhaError err;

	(void) state;
	assert_int_equal(fha_file_replace(path_of("mark"), "3", 1, &err), FHA_OK);
	assert_int_equal(fha_file_remove(path_of("mark"), &err), FHA_OK);
	assert_int_equal(access(path_of("mark"), F_OK), -1);
	assert_int_equal(fha_file_remove(path_of("mark"), &err), FHA_OK);
	assert_int_equal(mkdir(path_of("mark"), 0700), 0);
	assert_int_equal(fha_file_remove(path_of("mark"), &err), FHA_IO);
	assert_int_equal(fha_file_remove("/nonexistent/mark", &err), FHA_IO);
}

static void
reads_files_larger_than_its_first_buffer(void **state)
{
	static char big[20000];
	FhaError err;
	char *content;

	(void) state;
	memset(big, 'x', sizeof(big));
	assert_int_equal(fha_file_replace(path_of("big"), big, sizeof(big), &err), FHA_OK);
	assert_int_equal(fha_file_read(path_of("big"), sizeof(big), &content, &err), FHA_OK);
	assert_int_equal(strlen(content), sizeof(big));
	free(content);
	assert_int_equal(fha_file_read(path_of("big"), sizeof(big) - 1, &content, &err), FHA_INVALID);
	big[10] = '\0';
	assert_int_equal(fha_file_replace(path_of("big"), big, sizeof(big), &err), FHA_OK);
	assert_int_equal(fha_file_read(path_of("big"), sizeof(big), &content, &err), FHA_INVALID);
}

static void
remembers_the_node(void **state)
{
	FhaState saved = {.member = "n1",
					  .cluster = "demo",
					  .cluster_uuid = "0123456789abcdef0123456789abcdef",
					  .data_incarnation = "0123456789abcdef",
					  .highest_term = INT64_MAX - 1};
	FhaState loaded;
	FhaError err;

	(void) state;
	(void) unlink(path_of("node.json"));
	assert_int_equal(fha_state_load(&config, &loaded, &err), FHA_NOT_FOUND);
	assert_int_equal(fha_state_save(&config, &saved, &err), FHA_OK);
	assert_int_equal(fha_state_load(&config, &loaded, &err), FHA_OK);
	assert_string_equal(loaded.member, "n1");
	assert_string_equal(loaded.cluster, "demo");
	assert_string_equal(loaded.cluster_uuid, saved.cluster_uuid);
	assert_string_equal(loaded.data_incarnation, saved.data_incarnation);
	assert_true(loaded.highest_term == saved.highest_term);
	saved.highest_term = INT64_MAX;
	assert_int_equal(fha_state_save(&config, &saved, &err), FHA_INVALID);
}

static FhaCode
load_text(const char *text, FhaError *err)
{
	FhaState loaded;

	assert_int_equal(fha_file_replace(path_of("node.json"), text, strlen(text), err), FHA_OK);
	return fha_state_load(&config, &loaded, err);
}

static void
refuses_a_damaged_node_file(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"null",
		"12",
		"{\"member\": \"n1\", \"cluster\": \"demo\"} x",
		"{\"cluster\": \"demo\"}",
		"{\"member\": \"n1\"}",
		"{\"member\": 1, \"cluster\": \"demo\"}",
		"{\"member\": \"N1\", \"cluster\": \"demo\"}",
		"{\"member\": \"n1\\u0000\", \"cluster\": \"demo\"}",
		"{\"member\": \"n1\", \"cluster\": \"demo\", \"cluster_uuid\": \"012\"}",
		"{\"member\": \"n1\", \"cluster\": \"demo\", \"cluster_uuid\": "
		"\"0123456789ABCDEF0123456789ABCDEF\"}",
		"{\"member\": \"n1\", \"cluster\": \"demo\", \"data_incarnation\": \"0123456789abcdef0\"}",
		"{\"member\": \"n1\", \"cluster\": \"demo\", \"cloned_for\": \"0123\"}",
		"{\"member\": \"n1\", \"cluster\": \"demo\", \"highest_term\": -1}",
		"{\"member\": \"n1\", \"cluster\": \"demo\", \"highest_term\": \"1\"}",
		"{\"member\": \"n1\", \"cluster\": \"demo\", \"highest_term\": 1.5}",
		"{\"member\": \"n1\", \"cluster\": \"demo\", \"highest_term\": 99999999999999999999999}",
		"{\"member\": \"n1\", \"cluster\": \"demo\", \"a\": [[[[[[[[[[]]]]]]]]]]}",
	};
	static char big[64 * 1024 + 2];
	FhaError err;

	(void) state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		if (load_text(bad[i], &err) != FHA_INVALID)
			fail_msg("accepted: %s", bad[i]);
		if (strstr(err.text, "damaged") == NULL || strstr(err.text, "cloned anew") == NULL)
			fail_msg("%s: %s", bad[i], err.text);
	}
	memset(big, ' ', sizeof(big) - 1);
	assert_int_equal(load_text(big, &err), FHA_INVALID);
	assert_non_null(strstr(err.text, "damaged"));
}

static void
reads_a_node_file_of_a_later_version(void **state)
{
	FhaError err;

	(void) state;
	assert_int_equal(
		load_text("{\"member\": \"n1\", \"cluster\": \"demo\", \"votes\": {\"a\": [1]}}", &err),
		FHA_OK);
}

static void
refuses_another_members_file(void **state)
{
	FhaError err;

	(void) state;
	assert_int_equal(load_text("{\"member\": \"n2\", \"cluster\": \"demo\"}", &err), FHA_INVALID);
	assert_non_null(strstr(err.text, "belongs to member \"n2\""));
	assert_int_equal(load_text("{\"member\": \"n1\", \"cluster\": \"prod\"}", &err), FHA_INVALID);
	assert_non_null(strstr(err.text, "belongs to cluster \"prod\""));
}

/* Run `body` in a child that then stays until it is killed; returns when body is done. */
static pid_t
in_child(bool (*body)(void))
{
	int ends[2];
	char done = 'n';
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
	{
		done = body() ? 'y' : 'n';
		if (write(ends[1], &done, 1) != 1)
			_exit(1);
		for (;;)
			(void) pause();
	}
	(void) close(ends[1]);
	assert_int_equal(read(ends[0], &done, 1), 1);
	(void) close(ends[0]);
	assert_int_equal(done, 'y');
	return child;
}

static void
end_child(pid_t child)
{
	(void) kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static bool
take_and_claim(void)
{
	FhaOwnership ownership;
	FhaError err;

	if (fha_ownership_open(&config, &ownership, &err) != FHA_OK ||
		!fha_ownership_take(&ownership) || !fha_ownership_claim(&ownership))
		return false;
	fha_ownership_write_pid(&ownership);
	return true;
}

static void
one_process_has_the_ownership_lock(void **state)
{
	FhaOwnership ownership;
	FhaOwnership second;
	FhaError err;
	pid_t child;

	(void) state;
	assert_int_equal(fha_ownership_open(&config, &ownership, &err), FHA_OK);
	assert_int_equal(fcntl(ownership.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_false(ownership.held);
	assert_true(fha_ownership_take(&ownership));
	assert_true(ownership.held);
	assert_true(fha_ownership_take(&ownership));
	fha_ownership_release(&ownership);
	assert_false(ownership.held);
	assert_false(fha_ownership_is_claimed(&ownership));
	assert_int_equal(fha_ownership_read_pid(&ownership), 0);

	child = in_child(take_and_claim);
	assert_false(fha_ownership_take(&ownership));
	assert_false(fha_ownership_claim(&ownership));
	assert_true(fha_ownership_is_claimed(&ownership));
	assert_int_equal(fha_ownership_read_pid(&ownership), child);
	end_child(child);

	/* The kernel gives up a dead one's locks, and its id is not believed any more. */
	assert_false(fha_ownership_is_claimed(&ownership));
	assert_int_equal(fha_ownership_read_pid(&ownership), 0);
	assert_true(fha_ownership_take(&ownership));
	assert_int_equal(fha_ownership_open(&config, &second, &err), FHA_OK);
	/* Of two supervisors the second sees the first; the ownership lock is another matter. */
	assert_false(fha_ownership_is_guarded(&second));
	assert_true(fha_ownership_guard(&ownership));
	assert_false(fha_ownership_guard(&second));
	assert_true(fha_ownership_is_guarded(&second));
	assert_false(fha_ownership_take(&second));
	assert_true(fha_ownership_claim(&second));
	fha_ownership_close(&ownership);
	assert_true(fha_ownership_take(&second));
	fha_ownership_close(&second);
	fha_ownership_close(&second);
}

static void
a_question_takes_nothing(void **state)
{
	struct stat found;
	FhaOwnership ownership;
	FhaError err;
	pid_t parent = getpid();
	pid_t child;

	(void) state;
	(void) unlink(path_of("seat"));
	assert_false(fha_is_supervised(&config));
	assert_int_equal(stat(path_of("seat"), &found), -1);
	child = fork();
	while (child == 0 && getppid() == parent)
		(void) fha_is_supervised(&config);
	if (child == 0)
		_exit(0);
	for (int i = 0; i < 2000; i++)
	{
		assert_int_equal(fha_ownership_open(&config, &ownership, &err), FHA_OK);
		assert_true(fha_ownership_guard(&ownership));
		fha_ownership_close(&ownership);
	}
	end_child(child);
	assert_int_equal(fha_ownership_open(&config, &ownership, &err), FHA_OK);
	assert_true(fha_ownership_guard(&ownership));
	assert_true(fha_is_supervised(&config));
	fha_ownership_close(&ownership);
}

static void
a_wrong_id_is_not_believed(void **state)
{
	FhaOwnership ownership;
	FhaError err;
	char text[64];
	int length;

	(void) state;
	assert_int_equal(fha_file_replace(path_of("seat"), "rubbish", 7, &err), FHA_OK);
	assert_int_equal(fha_ownership_open(&config, &ownership, &err), FHA_OK);
	assert_int_equal(fha_ownership_read_pid(&ownership), 0);
	fha_ownership_close(&ownership);
	/* This process's id with another start: what a reused id looks like. */
	length = snprintf(text, sizeof(text), "%d 1\n", (int) getpid());
	assert_int_equal(fha_file_replace(path_of("seat"), text, (size_t) length, &err), FHA_OK);
	assert_int_equal(fha_ownership_open(&config, &ownership, &err), FHA_OK);
	assert_int_equal(fha_ownership_read_pid(&ownership), 0);
	fha_ownership_write_pid(&ownership);
	assert_int_equal(fha_ownership_read_pid(&ownership), getpid());
	fha_ownership_close(&ownership);
}

static void
liveness_ends_with_the_last_inheritor(void **state)
{
	FhaError err;
	pid_t child;
	int gate[2];
	int ready[2];
	int liveness;
	int again;
	char byte = 0;

	(void) state;
	assert_int_equal(fha_liveness_take(&config, &liveness, &err), FHA_OK);
	assert_int_equal(fcntl(liveness, F_GETFD) & FD_CLOEXEC, 0);
	assert_int_equal(fha_liveness_take(&config, &again, &err), FHA_CONFLICT);
	assert_int_equal(again, -1);

	/* An inheritor across exec: sleeps until its standard input closes. */
	assert_int_equal(pipe(gate), 0);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
	{
		(void) dup2(gate[0], STDIN_FILENO);
		(void) dup2(ready[1], STDOUT_FILENO);
		(void) close(gate[1]);
		(void) execl("/bin/sh", "sh", "-c", "echo; read x", (char *) NULL);
		_exit(127);
	}
	(void) close(gate[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void) close(liveness);
	assert_int_equal(fha_liveness_take(&config, &again, &err), FHA_CONFLICT);
	(void) close(gate[1]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(fha_liveness_take(&config, &again, &err), FHA_OK);
	(void) close(again);
	(void) close(ready[0]);
	(void) close(ready[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_lie_beside_the_data),
		cmocka_unit_test(prepare_makes_a_private_directory),
		cmocka_unit_test(prepare_refuses_bad_places),
		cmocka_unit_test(network_filesystems_are_known),
		cmocka_unit_test(replaces_files_whole),
		cmocka_unit_test(removes_files),
		cmocka_unit_test(reads_files_larger_than_its_first_buffer),
		cmocka_unit_test(remembers_the_node),
		cmocka_unit_test(refuses_a_damaged_node_file),
		cmocka_unit_test(reads_a_node_file_of_a_later_version),
		cmocka_unit_test(refuses_another_members_file),
		cmocka_unit_test(one_process_has_the_ownership_lock),
		cmocka_unit_test(a_question_takes_nothing),
		cmocka_unit_test(a_wrong_id_is_not_believed),
		cmocka_unit_test(liveness_ends_with_the_last_inheritor),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
