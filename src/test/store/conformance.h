/*
 * conformance.h: what every driver of an object store must do, tested through store.h.
 *
 * A driver's test program includes conformance.c, and brings a fixture: the few things that cannot be done to a store
 * through its interface.  Each case says what it found wrong, so that the suite itself can be tried on stores that are wrong on purpose.
 */
#ifndef FHA_STORE_CONFORMANCE_H
#define FHA_STORE_CONFORMANCE_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/driver.h"

typedef struct StoreFixture
{
	/* A fresh, empty store. */
	void (*make)(void);
	void (*unmake)(void);
	/* A handle on it; several may be open. */
	FhaStore *(*open)(void);
	/* Does it hold keys that a directory cannot? */
	bool holds_any_key;
	/* Objects that the case of pages makes; above FHA_STORE_LIST_MAX if the store is fast. */
	unsigned page_objects;
	/* Names of cases that the store itself fails, whatever its driver does, with a blank behind each; NULL: none. */
	const char *left_out;
	/* Each may be NULL, and its case is then left out. */
	/* The body of the next GET is cut after so many bytes. */
	void (*cut_body)(uint64_t after);
	/* The next write is applied, and its answer is lost. */
	void (*lose_answer)(void);
	/* No call is answered any more, until release. */
	void (*hang)(void);
	void (*release)(void);
} StoreFixture;

typedef struct StoreSuite
{
	const StoreFixture *fixture;
	FhaStore *store;
	char complaint[400]; /* "": none */
} StoreSuite;

typedef struct StoreCase
{
	const char *name;
	/* False: the store is wrong, and the complaint says how.  The store is fresh and empty. */
	bool (*run)(StoreSuite *suite);
} StoreCase;

extern const StoreCase store_cases[];
extern const size_t store_case_count;

/* One case on a fresh store; false: *suite has the complaint. */
bool store_case_run(const StoreCase *one, const StoreFixture *fixture, StoreSuite *suite);

/* All cases, and `more_count` tests of the driver's own, as a test program.  Returns its exit status. */
int store_suite_main(const StoreFixture *fixture, const struct CMUnitTest *more, size_t more_count);

#endif
