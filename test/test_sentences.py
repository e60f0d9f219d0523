"""Sentences are for people: no source decides by the words of a rule, or of how a request ended."""

import re
from collections.abc import Iterator
from pathlib import Path

import layers
import pytest

TABLE = "src/core/decide.c"
STATES = "src/record/request.c"

# A comment, a character, or a string; neighbouring strings are one.
STRING = r'"(?:[^"\\\n]|\\.)*"'
TOKEN = re.compile(rf"/\*.*?\*/|//[^\n]*|'(?:[^'\\\n]|\\.)*'|({STRING}(?:\s*{STRING})*)", re.DOTALL)
COMPARES = re.compile(r"\b(?:\w*str\w*(?:cmp|str|chr|spn)|mem(?:cmp|mem|chr)|same|fnmatch|regexec|\w*scanf)\s*\(")
SENTENCE = re.compile(r"(?:->|\.)(?:because|state|result|what|todo)\b(?!\s*(?:->|[.=!<>]))")

# What these say themselves, to people.
SAID = {
    ("src/node/promise.c", "the lock does not answer: all other members promise not to contend"),
    ("src/show/findings.c", "cannot be promoted"),
    ("src/node/write.c", "done: %s took the lease"),
}
# Members of 1.1 publish no ids and no states, so two of their sentences are known: each in one place.
OF_1_1 = {("src/show/overview.c", "this node stops"), ("src/pg/sql_requests.c", "failed: ")}
COMPARED = {"src/show/overview.c: strncmp(member->state, begins, sizeof(begins) - 1)"}
# A collection of metrics, which has no sentence.
COMPARED_ELSEWHERE = {"src/pg/exporter_rows.c: strcmp(failure->what, what)"}


def sources() -> dict[str, str]:
    """Of all rooms, with the headers, and without tests."""
    files = (path for path in layers.TREE.glob("src/**/*.[ch]") if "test" not in path.relative_to(layers.TREE).parts)
    return {str(path.relative_to(layers.TREE)): path.read_text() for path in files}


def strings(text: str) -> Iterator[str]:
    for token in TOKEN.finditer(text):
        if token[1] is not None:
            yield "".join(part[1:-1] for part in re.findall(STRING, token[1]))


def rule_sentences() -> list[str]:
    return [text for text in strings(Path(layers.TREE, TABLE).read_text()) if " " in text]


def state_names() -> list[str]:
    text = Path(layers.TREE, STATES).read_text()
    return list(strings(re.search(r"\bstates\[\] = \{(.*?)\}", text, re.DOTALL)[1]))


def words_of_sentences(files: dict[str, str]) -> set[tuple[str, str]]:
    """Strings of three words and more that are a part of a rule's sentence, and those that begin as a result does."""
    sentences, begins = rule_sentences(), tuple(f"{name}:" for name in state_names())
    return {
        (path, text)
        for path, source in files.items()
        if path != TABLE
        for text in strings(source)
        if text.startswith(begins) or (len(text.split()) > 2 and any(text.strip() in one for one in sentences))
    }


def comparisons_of_sentences(files: dict[str, str]) -> set[str]:
    """Calls that compare or search a field that holds a sentence."""
    found = set()
    for path, source in files.items():
        for call in COMPARES.finditer(source):
            end, depth = call.end(), 1
            while depth > 0:
                depth += {"(": 1, ")": -1}.get(source[end], 0)
                end += 1
            if SENTENCE.search(source, call.end(), end):
                found.add(f"{path}: {' '.join(source[call.start() : end].split())}")
    return found


def test_nothing_knows_a_sentence() -> None:
    assert len(rule_sentences()) > 70
    assert state_names() == ["pending", "running", "done", "failed"]
    assert words_of_sentences(sources()) == SAID | OF_1_1


def test_nothing_compares_a_sentence() -> None:
    assert comparisons_of_sentences(sources()) == COMPARED | COMPARED_ELSEWHERE


@pytest.mark.parametrize("text", (
    '#define STOPS "this node stops"',
    'const char *const words[] = {"is " "too", "would lose more" /* that is why */ " than"};',
    'if (begins_with(text, "the lease is free: "))',
    'if (result[0] == \'"\' || has(result, "failed: "))',
    'x = "done:";',
))
def test_words_control(text: str) -> None:
    assert len(words_of_sentences({"src/a.c": text})) == 1
    assert words_of_sentences({"src/a.c": f"/* {text.replace('/*', '').replace('*/', '')} */"}) == set()


@pytest.mark.parametrize("text", (
    "if (strcmp(a->state, b->state) != 0)",
    "return strstr(node->rule->because, word) != NULL;",
    "x = strncasecmp(from(a),\n\torder.because, 3);",
    "memcmp(entry->result, words, 8)",
    "same(shown.state, seen)",
))
def test_comparisons_control(text: str) -> None:
    assert len(comparisons_of_sentences({"src/a.c": text})) == 1


def test_an_enum_is_no_sentence() -> None:
    assert comparisons_of_sentences({"src/a.c": "strcmp(a->state.name, b) == 0 && same(x, y[pg->state == DOWN])"}) == set()
