"""What is given to a node from outside, as in a pod: settings, passwords, a certificate; and a stop that hands over."""

import base64
import hashlib
import os
import re
import shutil
import signal
import ssl
import sys
import tempfile
from pathlib import Path

import pytest

from lab import process, programs
from lab.given import Given, logs_in, served_certificate
from lab.impostor import Impostor
from lab.node import Node, free_ports
from lab.pki import Authority, openssl
from lab.session import Error, Session
from lab.wait import NotInTime, until

# The most that it can say; the debug output of the parser is of each statement.
LOUD = {
    "log_statement": "all",
    "log_min_messages": "debug5",
    "log_min_error_statement": "debug5",
    "log_connections": "on",
    "log_replication_commands": "on",
    "log_lock_waits": "on",
    "deadlock_timeout": "100ms",
    "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "-1",
    "debug_print_parse": "on",
    "debug_print_rewritten": "on",
    "debug_print_plan": "on",
    "track_activity_query_size": "1MB",
}


class Pair:
    """Two nodes that have all from `given`."""

    def __init__(self, base: Path) -> None:
        self.given = Given(base / "given")
        (base / "lock").mkdir(mode=0o700)
        self.given.shared |= {"fawkes_ha.lock": f"dir:{base}/lock", "listen_addresses": "127.0.0.1"}
        self.nodes = []
        for name, port in zip(("n1", "n2"), free_ports(2, 5401)):
            (base / name).mkdir()
            self.nodes.append(Node(name, base / name, base, port, {}))

    def start(self, **settings: str) -> None:
        self.given.shared |= settings
        self.given.settings()
        for node in self.nodes:
            self.given.use(node)
            node.start()
        self.wait_both()

    def leader(self) -> Node | None:
        for node in self.nodes:
            try:
                if node.standing()[0] == "primary" and node.value("SELECT is_open FROM fawkes_ha.fence()"):
                    return node
            except (Error, OSError):
                pass
        return None

    def wait_both(self) -> tuple[Node, Node]:
        """Until one leads and the other streams from it; in this order."""

        def found() -> tuple[Node, Node] | None:
            for leader, standby in (self.nodes, self.nodes[::-1]):
                try:
                    if leader.standing()[0] == "primary" and standby.standing() == ("streams", leader.port):
                        return leader, standby
                except (Error, OSError):
                    pass
            return None

        return until("one leads and the other streams", found, 120)

    def wait_owner(self, node: Node) -> None:
        until("the owner has its database", lambda: logs_in(self.given.dsn(node)), 60)

    def end(self) -> None:
        for node in self.nodes:
            node.kill()


@pytest.fixture(scope="module")
def pair():
    base = Path(tempfile.mkdtemp(prefix="fh-", dir=os.environ.get("FAWKES_TEST_DIR", "/tmp")))
    pair = Pair(base)
    try:
        pair.start(**LOUD)
        yield pair
    except BaseException:
        print(*(programs.tail(node.log) for node in pair.nodes), sep="\n", file=sys.stderr)
        raise
    finally:
        pair.end()
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def alone(directory: Path):
    """A node that was never started, without a partner."""
    pair = Pair(directory)
    pair.given.settings()
    pair.given.use(pair.nodes[0])
    yield pair
    pair.end()


def run(node: Node, *options: object):
    return programs.run("fawkes-ha", "run", "-D", node.data, *options, timeout=60)


# --- settings


def test_other_commands_find_the_settings(pair: Pair) -> None:
    leader, standby = pair.wait_both()
    until("status shows both", lambda: re.search(rf"{standby.name} +standby", leader.command("status").stdout), 60)


def test_only_the_member_that_is_named_founds(pair: Pair) -> None:
    """S7: initdb:n1 stands in the settings of all."""
    assert "made a new cluster" in pair.nodes[0].log.read_text()
    assert "made a new cluster" not in pair.nodes[1].log.read_text()


def test_changed_settings_are_taken_over(pair: Pair) -> None:
    pair.given.settings(work_mem="7MB")
    for node in pair.nodes:
        until(f"{node.name} has it", lambda: node.value("SHOW work_mem") == "7MB", 60)
    pair.given.settings()
    for node in pair.nodes:
        until(f"{node.name} has it no more", lambda: node.value("SHOW work_mem") != "7MB", 60)


def test_settings_with_a_mistake_change_nothing(pair: Pair) -> None:
    node = pair.nodes[0]
    before = (node.state / "fawkes_ha.conf").read_bytes()
    since = node.log.stat().st_size
    pair.given.settings(**{"fawkes_ha.lease_duration": "soon"})
    assert "lease_duration" in node.wait_for_log("settings are kept as they were", 60, since)
    assert (node.state / "fawkes_ha.conf").read_bytes() == before
    pair.given.settings()


BAD = [
    (["-c", "work_mem=1MB"], "-c wants --config"),
    (["--config", "/nonexistent/file"], "/nonexistent/file"),
    (["--config", None, "-c", "work_mem"], "NAME=VALUE"),
    (["--config", None, "-c", "work_mem=1\nport=2"], "line break"),
    (["--config", None, "-c", "fawkes_ha.no_such_setting=1"], "no_such_setting"),
    (["--config", None, "-c", "fawkes_ha.member_name=Not A Name"], "member_name"),
    (["--config", None, "-c", f"fawkes_ha.password_file={'x' * 2000}"], "password_file"),
    (["--config", None, *["-c", "work_mem=1MB"] * 40], "more than"),
]


@pytest.mark.parametrize(("options", "said"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_bad_options_are_refused_by_name(alone: Pair, options: list, said: str) -> None:
    """The supervisor ends before it touches anything."""
    node = alone.nodes[0]
    done = run(node, *(alone.given.file if word is None else word for word in options))
    assert done.returncode == 2 and said in done.stderr
    assert not node.state.exists() and not node.data.exists()


def test_too_many_settings_are_refused(alone: Pair) -> None:
    """The file has what it may have; the lines are too much."""
    node = alone.nodes[0]
    text = programs.settings_text(alone.given.shared)
    alone.given.volume("settings", {"fawkes_ha.conf": text + "#" * (64 * 1024 - len(text) - 100)})
    done = run(node, *node.options)
    assert done.returncode == 2 and "more than 65536 bytes" in done.stderr
    assert not node.state.exists()


def test_settings_that_somebody_wrote_are_not_overwritten(alone: Pair) -> None:
    node = alone.nodes[0]
    node.state.mkdir(mode=0o700)
    (node.state / "fawkes_ha.conf").write_text("# mine\n")
    done = run(node, *node.options)
    assert done.returncode == 2 and "was not made by --config" in done.stderr
    assert (node.state / "fawkes_ha.conf").read_text() == "# mine\n"


def test_other_commands_take_no_settings(alone: Pair) -> None:
    done = programs.run("fawkes-ha", "status", "-D", alone.nodes[0].data, "--config", alone.given.file)
    assert done.returncode == 2 and "status does not take --config" in done.stderr


@pytest.mark.parametrize("text", ["", "\n", "two\nlines\n", "x" * 1025])
def test_a_password_file_without_a_password_is_refused(alone: Pair, text: str) -> None:
    alone.given.volume("replication", {"password": text})
    done = run(alone.nodes[0], *alone.nodes[0].options)
    assert done.returncode == 2 and "replication/password" in done.stderr
    assert not alone.nodes[0].data.exists()


# --- the replication password


def test_a_changed_replication_password(pair: Pair) -> None:
    """All members take it over while they run: the role has it, and a standby logs in with it."""
    leader, standby = pair.wait_both()
    pair.given.password = "new:\\" + pair.given.password
    pair.given.volume("replication", {"password": pair.given.password + "\n"})
    quoted = pair.given.password.replace("\\", "\\\\")
    dsn = f"host=127.0.0.1 port={leader.port} dbname=postgres user=fawkes_replication password='{quoted}'"
    until("the role has it", lambda: logs_in(dsn), 60)
    until("the standby has it", lambda: "new" in (standby.state / "pgpass").read_text(), 60)
    leader.value("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
    pair.wait_both()


# --- TLS


def test_hosts_connect_with_tls_alone(pair: Pair) -> None:
    leader, _ = pair.wait_both()
    pair.wait_owner(leader)
    assert logs_in(pair.given.dsn(leader))
    with pytest.raises(Error, match="no encryption"):
        Session(pair.given.dsn(leader, more="sslmode=disable"))
    quoted = pair.given.password.replace("\\", "\\\\")
    with pytest.raises(Error, match="no encryption"):
        Session(
            f"host=127.0.0.1 port={leader.port} user=fawkes_replication password='{quoted}' sslmode=disable"
            " dbname=postgres replication=database"
        )


def test_members_replicate_with_tls(pair: Pair) -> None:
    leader, _ = pair.wait_both()
    assert leader.value("SELECT bool_and(ssl) FROM pg_stat_replication JOIN pg_stat_ssl USING (pid)")


def test_an_impostor_learns_no_password(pair: Pair) -> None:
    """Nobody vouches for a leader's certificate; a member goes on only with who can bind the channel to the password."""
    _, standby = pair.wait_both()
    with Impostor() as impostor:
        follow = (standby.state / "follow.conf").read_text()
        conninfo = re.search(r"primary_conninfo = '(.*)'$", follow, re.MULTILINE)[1].replace("''", "'")
        there = re.sub(r"port=\d+", f"port={impostor.port}", conninfo)
        with pytest.raises(Error, match="channel binding"):
            Session(there)
        until("it was tried", lambda: impostor.told)
        assert not any(impostor.told)
        # The control: who does not insist on it tells its password.
        with pytest.raises(Error):
            Session(there.replace("channel_binding=require", "channel_binding=prefer"))
        until("it was told", lambda: pair.given.password.encode() in b"".join(impostor.told))


def files_of(certificate: Path, key: Path) -> dict[str, str]:
    return {"tls.crt": certificate.read_text(), "tls.key": key.read_text()}


def test_a_given_certificate_is_served_and_changes(pair: Pair, directory: Path) -> None:
    """Without a restart; a pair that cannot be used leaves the one before."""
    leader, _ = pair.wait_both()
    postmaster = leader.postmaster_pid
    own = served_certificate(leader.port)
    authority = Authority(directory / "pki")
    first, second = (authority.server(name, ["IP:127.0.0.1"]) for name in ("first", "second"))
    for made in (first, second):
        pair.given.volume("tls", files_of(made.certificate, made.key))
        wanted = ssl.PEM_cert_to_DER_cert(made.certificate.read_text())
        assert wanted != own
        until("it is served", lambda: served_certificate(leader.port) == wanted, 60)
    assert logs_in(pair.given.dsn(leader, more=f"sslmode=verify-full sslrootcert={authority.certificate}"))
    since = leader.log.stat().st_size
    pair.given.volume("tls", files_of(first.certificate, second.key))
    leader.wait_for_log("does not belong to its certificate", 60, since)
    odd = directory / "odd"
    made = ["-subj", "/CN=odd", "-keyout", f"{odd}.key", "-out", f"{odd}.crt"]
    openssl("req", "-x509", "-nodes", "-newkey", "ed25519", *made)
    pair.given.volume("tls", files_of(Path(f"{odd}.crt"), Path(f"{odd}.key")))
    leader.wait_for_log("Ed25519", 60, since)
    assert served_certificate(leader.port) == ssl.PEM_cert_to_DER_cert(second.certificate.read_text())
    pair.given.volume("tls", files_of(second.certificate, second.key))
    assert leader.postmaster_pid == postmaster
    pair.wait_both()


def test_the_key_is_nobody_elses(pair: Pair) -> None:
    for node in pair.nodes:
        assert (node.state / "server.key").stat().st_mode & 0o077 == 0


# --- the owner


def test_the_owner_owns_the_database(pair: Pair) -> None:
    leader, _ = pair.wait_both()
    pair.wait_owner(leader)
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
    assert leader.value(owner, (pair.given.database,)) == pair.given.owner
    with Session(pair.given.dsn(leader)) as session:
        session.query("CREATE TABLE IF NOT EXISTS mine (i int)")
        assert not session.value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")


def test_a_changed_password_counts_without_a_restart(pair: Pair) -> None:
    leader, _ = pair.wait_both()
    pair.wait_owner(leader)
    postmaster, before = leader.postmaster_pid, pair.given.owner_password
    pair.given.owner_password = "later " + before
    pair.given.owner_is(pair.given.owner, pair.given.owner_password + "\n")
    until("the new password counts", lambda: logs_in(pair.given.dsn(leader)), 60)
    assert not logs_in(pair.given.dsn(leader, before))
    assert leader.postmaster_pid == postmaster


def test_another_name_is_another_owner(pair: Pair) -> None:
    leader, _ = pair.wait_both()
    pair.wait_owner(leader)
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
    pair.given.owner_is('an"other', pair.given.owner_password)
    until("it owns the database", lambda: leader.value(owner, (pair.given.database,)) == 'an"other', 60)
    pair.given.owner_is(pair.given.owner, pair.given.owner_password)
    until("as before", lambda: leader.value(owner, (pair.given.database,)) == pair.given.owner, 60)


@pytest.mark.parametrize("name", ["postgres", "fawkes_replication", "pg_monitor", "x" * 64, ""])
def test_names_that_cannot_be_the_owners(pair: Pair, name: str) -> None:
    """The superuser gets no password, the replication role keeps its own."""
    leader, _ = pair.wait_both()
    stored = "SELECT string_agg(rolname || coalesce(rolpassword, ''), ' ' ORDER BY rolname) FROM pg_authid"
    before, since = leader.value(stored), leader.log.stat().st_size
    pair.given.owner_is(name, "secret-" + pair.given.owner_password)
    leader.wait_for_log("cannot be the owner" if 0 < len(name) < 64 else "is left as it is", 60, since)
    assert leader.value(stored) == before
    pair.given.owner_is(pair.given.owner, pair.given.owner_password)


# --- the one that may only read


def test_who_may_only_read_is_made_and_changed(pair: Pair) -> None:
    """From a Secret that comes later than the cluster; on the standby, in the owner's database, without a restart."""
    leader, standby = pair.wait_both()
    pair.wait_owner(leader)
    postmaster = leader.postmaster_pid
    with Session(pair.given.dsn(leader)) as session:
        session.query("CREATE TABLE IF NOT EXISTS seen AS SELECT 1 AS i")
    pair.given.reader_is(pair.given.reader, pair.given.reader_password + "\n")
    until("it logs in", lambda: logs_in(pair.given.reader_dsn(standby)), 60)
    with Session(pair.given.reader_dsn(standby)) as session:
        assert session.value("SELECT i FROM seen") == 1
    with pytest.raises(Error, match="may only read, and this server is the primary"):
        Session(pair.given.reader_dsn(leader))
    before = pair.given.reader_dsn(standby)
    pair.given.reader_password = "later " + pair.given.reader_password
    pair.given.reader_is(pair.given.reader, pair.given.reader_password)
    until("the new password counts", lambda: logs_in(pair.given.reader_dsn(standby)), 60)
    assert not logs_in(before)
    assert leader.postmaster_pid == postmaster


NOT_READERS = ["postgres", "focal board", "pg_monitor", "fawkes_replication", "fawkes_ha_readonly"]


@pytest.mark.parametrize("name", NOT_READERS)
def test_names_that_cannot_be_of_one_who_may_only_read(pair: Pair, name: str) -> None:
    """Who has a role of another kind keeps it, with its password."""
    leader, _ = pair.wait_both()
    stored = "SELECT string_agg(rolname || coalesce(rolpassword, ''), ' ' ORDER BY rolname) FROM pg_authid"
    before, since = leader.value(stored), leader.log.stat().st_size
    pair.given.reader_is(name, "secret-" + pair.given.reader_password)
    exists = name in ("postgres", "focal board")
    leader.wait_for_log("is not a member of fawkes_ha_readonly" if exists else "cannot be a role that may", 60, since)
    assert leader.value(stored) == before
    pair.given.reader_is(pair.given.reader, pair.given.reader_password)


# --- a stop


def test_a_primary_that_is_told_to_stop_writes_its_pages_first(pair: Pair) -> None:
    """It serves while it does, and the standby has everything when it leads."""
    leader, standby = pair.wait_both()
    leader.value("CREATE TABLE IF NOT EXISTS filled AS SELECT i FROM generate_series(1, 20000) i; SELECT 1", timeout=60)
    since = leader.log.stat().st_size
    assert leader.stop() == 0
    until(f"{standby.name} leads", lambda: pair_leads(standby), 60)
    assert standby.value("SELECT count(*) FROM filled") == 20000
    said = leader.log.read_text(errors="replace").encode()[since:].decode(errors="replace")
    order = [said.find(text) for text in ("told to stop", "checkpoint complete", "stopping PostgreSQL (fast)")]
    assert -1 not in order and order == sorted(order), said
    leader.start()
    pair.wait_both()


def test_a_second_signal_stops_at_once(pair: Pair) -> None:
    """Even when the agent, which would see to the pages, does not answer."""
    leader, standby = pair.wait_both()
    agent = leader.titled("fawkes_ha agent")
    process.send(agent, signal.SIGSTOP)
    since = leader.log.stat().st_size
    leader.terminate()
    leader.wait_for_log("told to stop", 60, since)
    with pytest.raises(NotInTime):
        leader.wait_for_log("stopping PostgreSQL", 2, since)
    leader.terminate()
    leader.wait_for_log("stopping PostgreSQL (fast)", 60, since)
    process.send(agent, signal.SIGCONT)
    leader.wait_ended()
    leader.start()
    pair.wait_both()


def test_a_leader_that_comes_back_under_another_address(pair: Pair) -> None:
    """In the same term, as a pod does whose lease nobody could take: its standby finds it."""
    leader, standby = pair.wait_both()
    standby.freeze()
    leader.kill()
    since = leader.log.stat().st_size
    leader.port = free_ports(1, leader.port + 10)[0]
    leader.settings |= {"port": str(leader.port), "fawkes_ha.address": f"127.0.0.1:{leader.port}"}
    pair.given.use(leader)
    leader.start()
    leader.wait_for_log("this member leads", 60, since)
    standby.thaw()
    assert pair.wait_both() == (leader, standby)


def pair_leads(node: Node) -> bool:
    try:
        return node.standing()[0] == "primary" and logs_in(node.socket_dsn)
    except (Error, OSError):
        return False


def test_a_volume_that_was_given_to_its_group(pair: Pair) -> None:
    """As the kubelet may do with all of it for fsGroup: PostgreSQL would refuse its directory, libpq its password."""
    leader, standby = pair.wait_both()
    since = standby.log.stat().st_size
    standby.stop()
    for path in (standby.data, standby.state, standby.state / "pgpass", standby.state / "server.key"):
        path.chmod(path.stat().st_mode | 0o060)
    standby.start()
    standby.wait_for_log("started PostgreSQL as a standby", 60, since)
    assert pair.wait_both() == (leader, standby)
    assert standby.data.stat().st_mode & 0o077 == 0o040 and (standby.state / "pgpass").stat().st_mode & 0o077 == 0


# --- secrets; last, so that everything above is in the logs


def test_no_secret_is_told(pair: Pair) -> None:
    """In no log, though it says all it can; in no argument, environment, view or setting."""
    leader, standby = pair.wait_both()
    given = pair.given
    pair.wait_owner(leader)
    since = leader.log.stat().st_size
    with leader.session() as session:
        # Whoever waits for a lock is logged with its statement.
        session.query("BEGIN")
        session.query("LOCK TABLE pg_authid IN SHARE MODE")
        given.owner_password = "last " + given.owner_password
        given.owner_is(given.owner, given.owner_password)
        leader.wait_for_log('SQL statement "ALTER ROLE', 60, since)
        session.query("ROLLBACK")
    until("the last password counts", lambda: logs_in(given.dsn(leader)), 60)
    given.reader_password = "last " + given.reader_password
    given.reader_is(given.reader, given.reader_password)
    until("the reader's counts", lambda: logs_in(given.reader_dsn(standby)), 60)
    key = hashlib.pbkdf2_hmac("sha256", given.password.encode(), b"fawkes_ha members of given", 4096, 64)
    private = "".join((leader.state / "server.key").read_text().splitlines()[1:-1])
    # Of passwords what no quoting changes; those that tests above have used have the same.
    told = re.findall(r"\w{16,}", f"{given.password} {given.owner_password} {given.reader_password}") + [private[:40]]
    told += [key[:32].hex(), key[32:].hex(), base64.b64encode(key[:32]).decode()]
    seen = {
        **{f"{node.name}'s log": node.log.read_text(errors="replace") for node in pair.nodes},
        **{f"{node.name}'s processes": processes_of(node) for node in pair.nodes},
        "views": views_of(leader) + views_of(standby),
    }
    assert "CREATE ROLE" in seen["n1's log"] or "CREATE ROLE" in seen["n2's log"]  # it is loud
    assert len(told) == 7
    found = [(where, secret[:9]) for where, text in seen.items() for secret in told if secret in text]
    assert found == []


def processes_of(node: Node) -> str:
    text = ""
    for pid in node.pids():
        for file in ("cmdline", "environ"):
            try:
                text += Path(f"/proc/{pid}/{file}").read_text(errors="replace")
            except OSError:
                pass
    return text


def views_of(node: Node) -> str:
    views = ["pg_stat_activity", "pg_settings", "pg_file_settings", "pg_hba_file_rules", "fawkes_ha.snapshot()"]
    text = ""
    with node.session() as session:
        if session.value("SELECT count(*) FROM pg_extension WHERE extname = 'fawkes_ha'") == 0:
            views.pop()
        for view in views:
            text += str(session.query(f"SELECT * FROM {view}", timeout=30))
    return text
