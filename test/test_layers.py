"""The table of rooms in src/README.md, and what test/layers.py finds against it."""

import layers
import pytest

TABLE = """
| room | what it holds | may include |
|---|---|---|
| `src/base` | what others stand on | - |
| `src/record` | records | base |
| `src/http` | client, server | base, record |
| `src/pg` | the extension | record |
"""
FILES = {
    "fawkes_ha.c": '#include "postgres.h"\n\n#include "record/member.h"\n',
    "src/base/err.c": '#include "base/err.h"\n#include <stdio.h>\n',
    "src/record/member.c": '#include "record/member.h"\n#include "base/err.h"\n',
    "src/http/x.c": '#include "base/err.h"\n#include "record/member.h"\n',
    "src/pg/fence.c": '#include "postgres.h"\n#include "access/xact.h"\n#include "pg/fence.h"\n',
}


def complaints(table: str, files: dict[str, str]) -> list[str]:
    rooms = layers.table_of(table)
    return layers.table_complaints(rooms, ["base", "record", "http", "pg"]) + layers.include_complaints(rooms, files)


def test_what_the_table_allows() -> None:
    assert complaints(TABLE, FILES) == []


@pytest.mark.parametrize(("path", "include", "complaint"), (
    ("src/base/err.c", "http/client.h", "src/base/err.c includes http/client.h: base may include no other room"),
    ("src/record/member.c", "http/x.h", "src/record/member.c includes http/x.h: record may include base"),
    ("src/http/x.c", "pg/fence.h", "src/http/x.c includes pg/fence.h: http may include base, record"),
    ("src/pg/fence.c", "base/err.h", "src/pg/fence.c includes base/err.h: pg may include record"),
    ("fawkes_ha.c", "http/x.h", "fawkes_ha.c includes http/x.h: pg may include record"),
    ("src/http/x.c", "err.h", "src/http/x.c includes err.h, which is in no room: write the room first"),
    ("src/pg/fence.c", "test/core/x.h", "src/pg/fence.c includes test/core/x.h, which is in no room: write the room first"),
))
def test_an_include_that_is_not_allowed(path: str, include: str, complaint: str) -> None:
    files = {**FILES, path: FILES[path] + f'#include "{include}"\n'}
    assert complaints(TABLE, files) == [complaint]


@pytest.mark.parametrize(("before", "after", "complaint"), (
    ("others stand on | -", "others stand on | base", "src/README.md has a circle: base -> base"),
    ("others stand on | -", "others stand on | http", "src/README.md has a circle: base -> http -> base"),
    ("records | base", "records | http", "src/README.md has a circle: record -> http -> record"),
    ("records | base", "records | base, bass", "src/README.md: record may include bass, which is no room"),
    ("| `src/pg` | the extension | record |\n", "", "src/README.md has no row for src/pg"),
    ("server | base, record", "server | base, record, pg", "src/README.md: http does not include pg"),
))
def test_a_table_that_cannot_be(before: str, after: str, complaint: str) -> None:
    assert before in TABLE
    assert complaint in complaints(TABLE.replace(before, after), FILES)


def test_a_circle_of_many_is_found_behind_rooms_without_one() -> None:
    assert layers.circle({"a": ["b", "c"], "b": [], "c": ["d", "b"], "d": ["e"], "e": ["c"]}) == ["c", "d", "e", "c"]
    assert layers.circle({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}) == []


CLOCK = """
/* As text.  size >= 25. */
FHA_API void fha_wall_print(int64_t wall_ms, char *out, size_t size);
FHA_API int64_t fha_now_ms(void);
FHA_API FHA_MUST_CHECK FhaCode fha_random_hex(char *out, size_t size,
											  FhaError *err);
typedef struct FhaClock
{
	int64_t (*now_ms)(void *context);
} FhaClock;
FHA_API extern const FhaClock fha_kernel_clock;
"""


@pytest.mark.parametrize(("line", "look"), (
    ("	now_ms = fha_now_ms();", "fha_now_ms"),
    ("	if (fha_random_hex(id, sizeof(id), &err) != FHA_OK)", "fha_random_hex"),
    ("	node->clock = &fha_kernel_clock;", "fha_kernel_clock"),
    ("	(void) clock_gettime(CLOCK_BOOTTIME, &now);", "clock_gettime"),
    ("	srand((unsigned) time (NULL));", "time"),
    ("	now_ms = node->clock->now_ms(node->clock->context);", ""),
    ("	fha_wall_print(node->clock->wall_ms(clock->context), out, 25);", ""),
    ("	events->clock(host.time(random[0]));", ""),
    ("	/* on fha_now_ms(),\n	 * or time(NULL) */", ""),
))
def test_a_room_that_is_given_its_clock_looks_at_no_other(line: str, look: str) -> None:
    files = {layers.CLOCK: CLOCK, "src/pg/fence.c": f"{{\n{line}\n}}\n", "src/node/node.c": f"{{\n{line}\n}}\n"}
    complaint = f"src/node/node.c has {look}: node has the clock that it was given, and no other"
    assert layers.clock_complaints(files) == ([complaint] if look else [])


def test_the_sources_keep_to_their_table(capsys: pytest.CaptureFixture) -> None:
    status = layers.main()
    assert (status, capsys.readouterr().out) == (0, "")
