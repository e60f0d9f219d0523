"""The laws of names, and what test/names.py finds against them."""

import names
import pytest

FILES = {
    "src/base/log.c": """
#define LINE_SIZE 80
static int64_t
log_age_ms(const Log *log, int64_t now_ms)
{
	/* until_ms = now_ms; */
	return now_ms - log->said_at_ms;
}
static void
log_say(Log *log, const char *text)
{
	char line[LINE_SIZE + 2];
	char path[PATH_MAX] = "deadline_ms";
	unsigned char raw[FHA_MAC_BYTES];

	log->said_at_ms = fha_now_ms();
	log->pause_ms = fha_now_ms() - log->begun_at_ms;
}
""",
    "src/pg/fence.c": """
extern int64 fence_left_ms(void);
static void fence_say(const char *text);
static void
fence_say(const char *text)
{
	static char lines[LINES_MAX][FHA_NAME_SIZE];
	int64_t lapses_at_ms = fha_now_ms() + config->renew_deadline_ms;
	FhaLockRequest request = {.deadline_at_ms = now_ms + WAIT_MS};
}
""",
    "src/test/base/log_test.c": """
static int
answer(void)
{
	char text[TEXT_MAX + 1];
}
""",
}


def function(name: str) -> str:
    return f"static int\n{name}(void)\n{{\n	return 0;\n}}\n"


def test_what_keeps_to_the_laws() -> None:
    assert names.complaints(FILES) == []


BOTH = "src/base/log.c and src/pg/fence.c"


@pytest.mark.parametrize(("planted", "complaint"), (
    (function("log_say"), f"{BOTH} have a static function log_say each: put each module's noun before it"),
    (function("answer"), "src/pg/fence.c has a static function answer: put the module's noun before it"),
    ("static void *work(void *argument)\n{\n}\n", "src/pg/fence.c has a static function work: put the module's noun before it"),
    ("	node->retry_ms = now_ms + PERIOD_MS;\n", "src/pg/fence.c has the moment retry_ms: a moment ends in _at_ms, and a duration in _ms"),
    ("	told[i] = node_now_ms(node);\n", "src/pg/fence.c has the moment told: a moment ends in _at_ms, and a duration in _ms"),
    ("	request.deadline_ms = 0;\n", "src/pg/fence.c has the moment deadline_ms: a moment ends in _at_ms, and a duration in _ms"),
    ("	int64_t write_until_ms;\n", "src/pg/fence.c has the moment write_until_ms: a moment ends in _at_ms, and a duration in _ms"),
    ("	char name[FHA_NAME_MAX + 1];\n", "src/pg/fence.c has a text of FHA_NAME_MAX: a size ends in _SIZE, and counts the NUL"),
    ("#define NAME_LEN 40\n", "src/pg/fence.c defines NAME_LEN: a size ends in _SIZE, and counts the NUL"),
    ("#define LINE_SIZE 81\n", f"{BOTH} define LINE_SIZE: what both need stands in src/core/sizes.h"),
))
def test_a_name_that_breaks_a_law(planted: str, complaint: str) -> None:
    files = {**FILES, "src/pg/fence.c": FILES["src/pg/fence.c"] + planted}
    assert names.complaints(files) == [complaint]


def test_a_test_has_moments_too() -> None:
    files = {**FILES, "src/test/base/log_test.c": "	int64_t until = fha_now_ms() + BOUND_MS;\n"}
    assert names.complaints(files) == ["src/test/base/log_test.c has the moment until: a moment ends in _at_ms, and a duration in _ms"]


def test_the_sources_keep_to_the_laws(capsys: pytest.CaptureFixture) -> None:
    status = names.main()
    assert (status, capsys.readouterr().out) == (0, "")
