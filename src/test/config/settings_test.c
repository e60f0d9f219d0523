/*
 * settings_test.c: each row of settings.def is read as it is written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

static FhaConfig config;
static FhaError err;

static int
start(void **state)
{
	(void) state;
	fha_config_defaults(&config);
	err.text[0] = '\0';
	return 0;
}

static void
set(const char *name, const char *value)
{
	if (fha_config_set(&config, name, value, &err) != FHA_OK)
		fail_msg("%s = '%s': %s", name, value, err.text);
}

static void
assert_out_of_range(const char *name, int64_t amount, const char *unit, const char *range)
{
	char value[64];

	(void) snprintf(value, sizeof(value), "%lld%s", (long long) amount, unit);
	assert_int_equal(fha_config_set(&config, name, value, &err), FHA_INVALID);
	if (strstr(err.text, range) == NULL || strstr(err.text, name) == NULL)
		fail_msg("\"%s\" says not that %s is %s", err.text, name, range);
}

/* A number within its own limits, and no number beyond them. */
static void
number(const char *name, const int64_t *field, const char *initial, const char *smallest_unit,
	   const int64_t limits[2], const char *const texts[2])
{
	char range[64];
	int64_t usual = *field;

	(void) snprintf(range, sizeof(range), ": %s to %s is allowed", texts[0], texts[1]);
	set(name, initial);
	assert_int_equal(*field, usual);
	for (int i = 0; i < 2; i++)
	{
		set(name, texts[i]);
		assert_int_equal(*field, limits[i]);
	}
	if (limits[0] > 0)
		assert_out_of_range(name, limits[0] - 1, smallest_unit, range);
	assert_out_of_range(name, limits[1] + 1, smallest_unit, range);
}

#define SMALLEST_ms "ms"
#define SMALLEST_s "ms"
#define SMALLEST_kB "B"
#define SMALLEST_count ""

static void
a_number_has_its_default_and_its_range(void **state)
{
	(void) state;
#define FHA_NUMBER(name, unit, initial, least, most, ...)                                     \
	number(FHA_SETTING_PREFIX #name, &config.FHA_FIELD(name, unit), FHA_AMOUNT_TEXT(initial), \
		   SMALLEST_##unit, (const int64_t[]){FHA_AMOUNT(least), FHA_AMOUNT(most)},           \
		   (const char *const[]){FHA_AMOUNT_TEXT(least), FHA_AMOUNT_TEXT(most)});
#include "config/settings.def"
}

static void
text(const char *name, const char *field, size_t size, const char *initial)
{
	char value[2 * FHA_PATH_SIZE];

	assert_string_equal(field, initial);
	set(name, initial);
	assert_string_equal(field, initial);
	/* A path's first byte; no other kind allows so many of any letter. */
	memset(value, '/', size);
	value[size] = '\0';
	assert_int_equal(fha_config_set(&config, name, value, &err), FHA_INVALID);
	assert_non_null(strstr(err.text, name));
}

static void
a_text_has_its_default_and_fits(void **state)
{
	(void) state;
#define FHA_TEXT(name, kind, initial, ...) \
	text(FHA_SETTING_PREFIX #name, config.name, sizeof(config.name), initial);
#include "config/settings.def"
}

static void
flag(const char *name, const bool *field, const char *initial)
{
	bool usual = *field;

	set(name, initial);
	assert_int_equal(*field, usual);
	set(name, usual ? "off" : "on");
	assert_int_equal(*field, !usual);
	assert_int_equal(fha_config_set(&config, name, "perhaps", &err), FHA_INVALID);
	assert_non_null(strstr(err.text, name));
}

static void
a_flag_has_its_default(void **state)
{
	(void) state;
#define FHA_FLAG(name, initial, ...) flag(FHA_SETTING_PREFIX #name, &config.name, #initial);
#include "config/settings.def"
}

static unsigned
traits(const char *name)
{
	return fha_setting_traits(name, strlen(name));
}

static void
knows_who_may_set_what(void **state)
{
	(void) state;
	assert_int_equal(traits("fawkes_ha.lock"), FHA_START | FHA_MANAGED);
	assert_int_equal(traits("FAWKES_HA.Pod"), FHA_START | FHA_MANAGED);
	assert_int_equal(traits("fawkes_ha.lease_duration"), FHA_RELOAD);
	assert_int_equal(traits("fawkes_ha.tls"), FHA_START);
	assert_int_equal(traits("PORT"), FHA_OWN | FHA_NOT_ALTERED);
	assert_int_equal(traits("restore_command"), FHA_OWN | FHA_NOT_ALTERED | FHA_MOVED);
	assert_int_equal(traits("promote_trigger_file"), FHA_MANAGED);
	assert_int_equal(traits("recovery_target"), FHA_MANAGED);
	assert_int_equal(traits("Recovery_Target_Time"), FHA_MANAGED);
	assert_int_equal(traits("recovery_targe"), 0);
	assert_int_equal(traits("ports"), 0);
	assert_int_equal(traits("por"), 0);
	assert_int_equal(traits("work_mem"), 0);
	assert_int_equal(traits(""), 0);
	assert_int_equal(traits("fsync"), FHA_OWN | FHA_NOT_ALTERED | FHA_ON);
	assert_int_equal(fha_setting_traits("port = 1", 4), FHA_OWN | FHA_NOT_ALTERED);
}

/* Each is read at the start or at a reload, not both. */
static void
has_one_context(void **state)
{
	static const unsigned all[] = {
#define FHA_TEXT(name, kind, initial, row_traits, ...) row_traits,
#define FHA_NUMBER(name, unit, initial, least, most, row_traits, ...) row_traits,
#define FHA_FLAG(name, initial, row_traits, ...) row_traits,
#include "config/settings.def"
	};

	(void) state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		assert_true(((all[i] & FHA_START) != 0) != ((all[i] & FHA_RELOAD) != 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_number_has_its_default_and_its_range, start),
		cmocka_unit_test_setup(a_text_has_its_default_and_fits, start),
		cmocka_unit_test_setup(a_flag_has_its_default, start),
		cmocka_unit_test_setup(knows_who_may_set_what, start),
		cmocka_unit_test_setup(has_one_context, start),
	};

	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
