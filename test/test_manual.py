"""Help, the manual page and the completion: each knows all commands and the options that each takes."""

import re
import subprocess

from lab import programs
from lab.documents import fawkes_ha, shown_options, usages


def options_of(command: str) -> set[str]:
    """As `fawkes-ha COMMAND --help` lists them."""
    listed = fawkes_ha(command, "--help").stdout.split("\n\n")[1]
    return {word for line in listed.splitlines() for word in shown_options(line[:28])}


def completed(*words: str) -> list[str]:
    """What bash offers for the last word."""
    fill = 'COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))'
    script = f'source <("$1" completion) && {fill} && _fawkes_ha && printf "%s\\n" "${{COMPREPLY[@]}}"'
    command = ["bash", "-c", script, "bash", programs.path("fawkes-ha"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/")
    assert done.stderr == ""
    return done.stdout.split()


def test_help_lists_what_a_command_takes() -> None:
    for command, usage in usages().items():
        options = options_of(command)
        assert shown_options(usage) <= options
        for option in options - {"-h", "--help"}:
            assert "does not take" not in fawkes_ha(command, option, "?", "--help").stderr
        for other in {"--force", "--ask", "--to", "--config", "--bin"} - options:
            assert f"does not take {other}" in fawkes_ha(command, other, "n2", "--help").stderr


def test_the_manual_page_has_all() -> None:
    page = fawkes_ha("man").stdout.replace("\\-", "-")
    assert set(re.findall(r"^\\fB([a-z][a-z-]*)\\fR ", page, re.MULTILINE)) == set(usages())
    written = set(re.findall(r"(?<=\\fB)--?[a-zA-Z-]+(?=\\fR)", page))
    assert written == {option for command in usages() for option in options_of(command)}
    assert re.findall(r"^\.B (\d)$", page, re.MULTILINE) == ["0", "1", "2", "3", "4"]
    # Nothing else is a request of roff.
    assert set(re.findall(r"^[.'].*?(?= |$)", page, re.MULTILINE)) <= {".TH", ".SH", ".TP", ".B", ".I"}


def test_completion() -> None:
    assert set(completed("")) == set(usages()) | {"help", "version"}
    assert completed("swi") == ["switchover"]
    for command in usages():
        assert set(completed(command, "-")) == options_of(command)
    assert completed("status", "-o", "j") == ["json"]
    assert completed("switchover", "--to", "") == []
    assert completed("status", "-D", "/us") == ["/usr"]
    assert completed("run", "--config", "/et") == ["/etc"]
