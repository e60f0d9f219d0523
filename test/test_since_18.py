"""What only PostgreSQL 18 and later can do to a cluster; conftest.py leaves this out for earlier ones."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from lab import programs
from lab.cluster import Cluster
from lab.impostor import Impostor
from lab.wait import until


@pytest.fixture(scope="module")
def pair():
    base = Path(tempfile.mkdtemp(prefix="fh-", dir=os.environ.get("FAWKES_TEST_DIR", "/tmp")))
    cluster = Cluster(base / "c", names=("n1", "n2"), first_port=5851)
    try:
        cluster.create()
        cluster.start()
        yield cluster
    except BaseException:
        print(cluster.log_tails())
        raise
    finally:
        cluster.destroy()
        shutil.rmtree(base, ignore_errors=True)


def test_an_impostor_without_tls_learns_no_password(pair: Cluster) -> None:
    """From 16 on: who has taken the port of a leader that is down asks for the password, and is not told it."""
    leader = pair.wait_all_stream()
    (node,) = pair.others(leader)
    follow = (node.state / "follow.conf").read_text()
    conninfo = re.search(r"primary_conninfo = '(.*)'$", follow, re.MULTILINE)[1].replace("''", "'")
    with Impostor(tls=False) as impostor:
        there = re.sub(r"port=\d+", f"port={impostor.port}", conninfo)
        assert "authentication method" in programs.run("psql", there, "-c", "SELECT 1").stderr
        until("it was tried", lambda: impostor.told)
        assert not any(impostor.told)
        # The control: who does not insist on it tells its password.
        programs.run("psql", there.replace("require_auth=scram-sha-256", ""), "-c", "SELECT 1")
        until("it was told", lambda: pair.passwords["replication"].encode() in b"".join(impostor.told))


def test_a_member_whose_slot_was_invalidated_streams_again(pair: Cluster) -> None:
    """Section 7, slots: an invalidated one is made anew, for 18 lets nobody stream through it ever again."""
    leader = pair.wait_all_stream()
    (node,) = pair.others(leader)
    node.stop()
    with leader.session() as session:
        slot = session.query("SELECT slot_name FROM pg_replication_slots")
        session.query("ALTER SYSTEM SET idle_replication_slot_timeout = '1s'")
        session.query("SELECT pg_reload_conf()")

        def is_invalidated() -> bool:
            session.query("CHECKPOINT", timeout=30)
            return "invalidating obsolete replication slot" in leader.log.read_text(errors="replace")

        until("the slot is invalidated", is_invalidated)
        session.query("ALTER SYSTEM RESET idle_replication_slot_timeout")
        session.query("SELECT pg_reload_conf()")
    node.start()
    pair.wait_streams(node, 15)
    assert leader.value("SELECT slot_name FROM pg_replication_slots WHERE wal_status = 'reserved'") == slot[0][0]


def test_pg_upgrade_carries_the_extension_over(directory) -> None:
    """From 16: no view names what 18 has not, and users' views of metrics stay added."""
    bindirs = {"16": Path(os.environ["PG_CONFIG"]).parents[2] / "16" / "bin", "18": programs.bindir()}
    settings = {"unix_socket_directories": directory, "listen_addresses": "", "shared_preload_libraries": "fawkes_ha"}

    def run(version: str, program: str, *words: str | Path) -> str:
        done = subprocess.run([bindirs[version] / program, *words], cwd=directory, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def ask(version: str, *statements: str) -> str:
        run(version, "pg_ctl", "start", "-w", "-D", directory / version, "-l", directory / f"log{version}")
        try:
            each = [word for statement in statements for word in ("-c", statement)]
            return run(version, "psql", "-XAtq", "-h", directory, "-U", "postgres", *each)
        finally:
            run(version, "pg_ctl", "stop", "-w", "-D", directory / version)

    for version in bindirs:
        words = ["-A", "trust", "-N", "--locale=C.UTF-8", "-E", "UTF8"]
        words += ["--no-data-checksums"] if version == "18" else []
        run(version, "initdb", "-D", directory / version, "-U", "postgres", *words)
        with open(directory / version / "postgresql.conf", "a") as conf:
            conf.write(programs.settings_text({name: str(value) for name, value in settings.items()}))
    names = "SELECT count(DISTINCT name) FROM fawkes_ha.metrics WHERE name ~ '_checkpointer_'"
    before = ask(
        "16",
        "CREATE EXTENSION fawkes_ha",
        "CREATE ROLE fawkes_exporter IN ROLE pg_monitor",
        "CREATE VIEW public.orders AS SELECT 7 AS open",
        "SELECT fawkes_ha.add_metrics('public.orders')",
        names,
    )
    assert before == "public.orders is read as metrics\n0"
    old, new = directory / "16", directory / "18"
    where = ("-b", bindirs["16"], "-B", bindirs["18"], "-d", old, "-D", new, "-s", directory)
    run("18", "pg_upgrade", *where, "-U", "postgres")
    assert ask("18", names, "SELECT view, error IS NULL FROM fawkes_ha.user_metrics") == "9\npublic.orders|t"
