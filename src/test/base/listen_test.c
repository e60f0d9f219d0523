/*
 * listen_test.c: the setting `listen`, its socket, and where others reach it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <netinet/in.h>

#include <cmocka.h>

#include "base/listen.h"

static void
addresses_are_numbers_and_a_port(void **state)
{
	static const char *const good[] = {
		"", "127.0.0.1:8008", "0.0.0.0:1", "[::1]:8008", "[fd00::1]:65535", "*:8008", "[::]:80"};
	static const char *const bad[] = {"8008",
									  ":8008",
									  "localhost:8008",
									  "127.0.0.1",
									  "127.0.0.1:",
									  "127.0.0.1:0",
									  "127.0.0.1:65536",
									  "127.0.0.1:8x",
									  "127.0.0.1:-1",
									  "127.1:80",
									  "::1:8008",
									  "[::1]",
									  "[]:80",
									  "[*]:80",
									  "[::1:80",
									  "* :80",
									  "127.0.0.1:080808",
									  "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:80"};
	FhaError err = {.text = ""};

	(void) state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (fha_listen_check(good[i], &err) != FHA_OK)
			fail_msg("%s: %s", good[i], err.text);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (fha_listen_check(bad[i], &err) != FHA_INVALID)
			fail_msg("%s is taken", bad[i]);
}

static void
a_port_in_use_names_the_setting(void **state)
{
	FhaError err = {.text = ""};
	struct sockaddr_in address;
	socklen_t size = sizeof(address);
	char listen_on[64];
	int first = socket(AF_INET, SOCK_STREAM, 0);
	int second;

	(void) state;
	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(first, (struct sockaddr *) &address, sizeof(address)), 0);
	assert_int_equal(listen(first, 1), 0);
	assert_int_equal(getsockname(first, (struct sockaddr *) &address, &size), 0);
	(void) snprintf(listen_on, sizeof(listen_on), "127.0.0.1:%u", ntohs(address.sin_port));
	assert_int_equal(fha_listen_open("listen", listen_on, &second, &err), FHA_IO);
	assert_int_equal(second, -1);
	assert_non_null(strstr(err.text, "fawkes_ha.listen"));
	assert_non_null(strstr(err.text, listen_on));
	(void) close(first);
	assert_int_equal(fha_listen_open("listen", listen_on, &second, &err), FHA_OK);
	(void) close(second);
	assert_int_equal(fha_listen_open("listen", "localhost", &second, &err), FHA_INVALID);
	assert_int_equal(second, -1);
}

static void
others_reach_every_address_by_the_members_own(void **state)
{
	static const struct
	{
		const char *listen;
		const char *address;
		const char *reached;
	} cases[] = {
		{"", "db1:5432", ""},
		{"127.0.0.1:8008", "db1:5432", "127.0.0.1:8008"},
		{"[::1]:8008", "db1:5432", "[::1]:8008"},
		{"*:8008", "db1:5432", "db1:8008"},
		{"0.0.0.0:8008", "10.0.0.1:5432", "10.0.0.1:8008"},
		{"[::]:8008", "[fd00::1]:5432", "[fd00::1]:8008"},
		{"*:8008", "", ""},
		{"nonsense", "db1:5432", ""},
	};
	char out[64];

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		fha_listen_public(cases[i].listen, cases[i].address, out, sizeof(out));
		assert_string_equal(out, cases[i].reached);
	}
	fha_listen_public("127.0.0.1:8008", "", out, 5);
	assert_string_equal(out, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_numbers_and_a_port),
		cmocka_unit_test(a_port_in_use_names_the_setting),
		cmocka_unit_test(others_reach_every_address_by_the_members_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
