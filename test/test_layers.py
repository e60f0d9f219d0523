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


def test_the_sources_keep_to_their_table(capsys: pytest.CaptureFixture) -> None:
    status = layers.main()
    assert (status, capsys.readouterr().out) == (0, "")
