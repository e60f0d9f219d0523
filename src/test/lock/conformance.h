/*
 * conformance.h: what every driver of the lock must do, tested through lock.h.
 *
 * A driver's test program includes conformance.c, and brings a fixture: the few
 * things that cannot be done to a lock through its interface.
 */
#ifndef FHA_CONFORMANCE_H
#define FHA_CONFORMANCE_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lock/lock.h"

typedef struct Fixture
{
	/* A fresh, empty lock. */
	void (*make)(char *uri, size_t size);
	void (*unmake)(void);
	/* The next write of any process stops just before it is applied, until release. */
	void (*write_hold)(void);
	bool (*write_held)(void);
	void (*write_release)(void);
	/* The next write is applied, and no answer comes, ever. */
	void (*reply_lose)(void);
	/* The lock stops answering the only open handle of this process; release undoes it. */
	void (*lock_hang)(void);
} Fixture;

int conformance_setup(void **state);
int conformance_teardown(void **state);

void test_basics(void **state);
void test_large_records(void **state);
void test_lost_update(void **state);
void test_stale_version(void **state);
void test_no_revert(void **state);
void test_watch_order(void **state);
void test_watch_misses_nothing(void **state);
void test_watch_slow_reader(void **state);
void test_watch_every_write(void **state);
void test_writer_killed(void **state);
void test_writer_stopped_in_swap(void **state);
void test_writer_stopped_in_create(void **state);
void test_race(void **state);
void test_reply_lost(void **state);
void test_hostile_requests(void **state);
void test_hang(void **state);

#define CONFORMANCE(test, fixture) \
	cmocka_unit_test_prestate_setup_teardown(test, conformance_setup, conformance_teardown, fixture)

#endif
