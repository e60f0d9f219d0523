"""Metrics over HTTP, on real servers: who scrapes is answered, whatever the server does."""

import json
import re
import shutil
import signal
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from pathlib import Path

import jsonschema
import pytest

from conftest import is_leading
from lab import http, process
from lab.cluster import CLUSTER_NAME, Cluster
from lab.node import Node, free_ports
from lab.pki import Authority, Certificate
from lab.wait import until

EXPORT = True
TREE = Path(__file__).parent.parent
UP = f'cnpg_collector_up{{cluster="{CLUSTER_NAME}"}}'

Page = dict[str, float]


def parse(text: str) -> Page:
    """By series, as written: `name{labels}`; of fawkes_ha's own without their cluster, which each has."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    page = {series: float(value) for series, value in (line.rsplit(" ", 1) for line in lines)}
    return {without_cluster(series) if series.startswith("fawkes_ha_") else series: page[series] for series in page}


def without_cluster(series: str) -> str:
    stripped = re.sub(f',?cluster="{CLUSTER_NAME}"', "", series)
    assert stripped != series, series
    return stripped.removesuffix("{}")


def scrape(node: Node) -> Page:
    answer = http.ask(node.exporter_port, "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parse(answer.text)


def collectors(node: Node) -> list[int]:
    return node.titled("fawkes_ha collector")


@pytest.fixture
def leader(cluster: Cluster) -> Node:
    leader = cluster.wait_all_stream()
    leader.wait_for_extension()
    return leader


def test_nobody_collects_for_nobody(cluster: Cluster, leader: Node) -> None:
    """An exporter that is not scraped has no collector.  Before all others here."""
    for node in cluster.nodes:
        assert node.titled("fawkes_ha exporter")
        assert collectors(node) == []


def test_settings_are_those_of_the_server(leader: Node) -> None:
    """The collector lives for long, and has time limits of its own."""

    def shown(name: str) -> float:
        return scrape(leader)[f'cnpg_pg_settings_setting{{name="{name}"}}']

    with leader.session() as session:
        assert shown("lock_timeout") == shown("default_transaction_read_only") == shown("transaction_read_only") == 0
        try:
            session.query("ALTER SYSTEM SET statement_timeout = '77s'")
            session.query("ALTER SYSTEM SET work_mem = '7MB'")
            session.query("ALTER SYSTEM SET max_wal_size = '2GB'")
            session.query("SELECT pg_reload_conf()")
            until("a limit that the collector lifts for itself", lambda: shown("statement_timeout") == 77000, 30)
            assert shown("work_mem") == 7 * 1024
            assert scrape(leader)['cnpg_collector_pg_wal{value="max"}'] == 2048 / 16
        finally:
            session.query("ALTER SYSTEM RESET ALL")
            session.query("SELECT pg_reload_conf()")
    until("the reset is shown", lambda: shown("statement_timeout") == 0, 30)


def test_every_member_answers(cluster: Cluster, leader: Node) -> None:
    """Metrics of the server, of each database, and of fawkes_ha itself; and the format is sound."""
    for node in cluster.nodes:
        page = until("both databases are there", lambda: whole(node))
        assert page["cnpg_pg_replication_in_recovery"] == float(node is not leader)
        assert page['fawkes_ha_role{role="primary"}'] == float(node is leader)
        assert page[UP] == 1
        assert page["cnpg_last_error"] == 0
        text = http.ask(node.exporter_port, "/metrics").text
        lint = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        # It has opinions about names, which are CloudNativePG's; what it cannot parse is an error.
        assert "error" not in lint.stderr.lower()
        assert not [line for line in lint.stderr.splitlines() if line.startswith("fawkes_ha_")]


def whole(node: Node) -> Page | None:
    page = scrape(node)
    wanted = 'cnpg_collector_lo_pages{datname="postgres"}', 'fawkes_ha_exporter_age_seconds{datname="app"}'
    return page if all(series in page for series in wanted) else None


def test_two_who_scrape_at_once_share_a_collection(cluster: Cluster, leader: Node) -> None:
    scrape(leader)
    before = scrape(leader)["cnpg_collector_collections_total"]
    threads = [threading.Thread(target=scrape, args=(leader,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The server's and, at most, one of each other database.
    assert scrape(leader)["cnpg_collector_collections_total"] <= before + 2 + 2


def test_a_collector_that_hangs_delays_neither_scrape_nor_lock(cluster: Cluster, leader: Node) -> None:
    """The last values stay, their age grows, and the lease goes on."""
    until("a whole page", lambda: whole(leader))
    (collector,) = until("one collector stays", lambda: collectors(leader) if len(collectors(leader)) == 1 else None)
    term = scrape(leader)["fawkes_ha_term"]
    process.send([collector], signal.SIGSTOP)
    try:
        page = until("it shows", lambda: hung(leader))
        assert page["cnpg_pg_replication_in_recovery"] == 0
        assert page["fawkes_ha_lease_held"] == 1
        assert page["fawkes_ha_term"] == term
        renewals = 'fawkes_ha_renewals_total{result="confirmed"}'
        until("renewals go on", lambda: scrape(leader)[renewals] > page[renewals] + 2)
    finally:
        process.send([collector], signal.SIGCONT)
    until("it is up again", lambda: scrape(leader)[UP] == 1)
    assert cluster.wait_all_stream() is leader


def hung(node: Node) -> Page | None:
    page = scrape(node)
    age = page['fawkes_ha_exporter_age_seconds{datname="postgres"}']
    return page if page[UP] == 0 and age > 4 else None


def test_a_collector_that_is_ended_is_replaced(cluster: Cluster, leader: Node) -> None:
    until("a whole page", lambda: whole(leader))
    old = collectors(leader)
    process.send(old, signal.SIGTERM)
    until("another one collects", lambda: scrape(leader)["cnpg_last_error"] == 0 and set(collectors(leader)) - set(old))


def test_users_add_metrics_and_their_errors_cost_nobody(cluster: Cluster, leader: Node) -> None:
    """A view that fails, and one that does not end, are a metric and a line of the log."""
    with leader.session(timeout=30) as session:
        for name, body in {
            "good": "SELECT 42 AS answer",
            "bad": "SELECT 1 / (extract(epoch FROM now()) * 0)::int AS never",
            "slow": "SELECT 1 AS late FROM pg_sleep(600)",
            "slower": "SELECT 1 AS late FROM pg_sleep(601)",
        }.items():
            session.query(f"CREATE VIEW {name} AS {body}")
            session.query(f"SELECT fawkes_ha.add_metrics('{name}')")
    page = until("both have failed", lambda: failed(leader, {"postgres/public.bad", "postgres/public.slow"}))
    assert page["cnpg_good_answer"] == 42
    assert page["cnpg_last_error"] == 1
    # Their limits together are longer than a scrape waits.
    page = until("a collection is under way", lambda: not_waited_for(leader))
    assert (page[UP], page["cnpg_last_error"]) == (1, 1)
    leader.wait_for_log("metrics of database \"postgres\": public.bad: division by zero")
    with leader.session(timeout=30) as session:
        for name in ("good", "bad", "slow", "slower"):
            session.query(f"SELECT fawkes_ha.remove_metrics('{name}')")
            session.query(f"DROP VIEW {name}")
    until("no query fails", lambda: scrape(leader)["cnpg_last_error"] == 0)


def not_waited_for(node: Node) -> Page | None:
    page = scrape(node)
    return page if page['fawkes_ha_exporter_age_seconds{datname="postgres"}'] > 1.5 else None


def failed(node: Node, names: set[str]) -> Page | None:
    page = scrape(node)
    errors = set(re.findall(r'cnpg_errors_total\{errorUserQueries="(.*?)"\}', "\n".join(page)))
    return page if names <= errors and "cnpg_good_answer" in page else None


def test_a_database_without_the_extension_shows_its_own(cluster: Cluster, leader: Node) -> None:
    """Dashboards list the extensions of applications' databases, which have no reason to have ours."""
    with leader.session(timeout=30) as session:
        session.query("CREATE DATABASE plain", timeout=30)
    with leader.session(database="plain") as session:
        assert session.query("SELECT extname FROM pg_extension") == [("plpgsql",)]
        version = session.value("SELECT extversion FROM pg_extension")
    labels = f'datname="plain",default_version="{version}",extname="plpgsql",installed_version="{version}"'

    def shown() -> bool:
        page = scrape(leader)
        lo = page.get('cnpg_collector_lo_pages{datname="plain"}')
        found = {
            ",".join(sorted(re.findall(r'\w+="[^"]*"', series))): value
            for series, value in page.items()
            if series.startswith("cnpg_pg_extensions_update_available{")
        }
        return lo == 0 and found.get(labels) == 0

    until("they are shown", shown)
    with leader.session(timeout=30) as session:
        session.query("DROP DATABASE plain WITH (FORCE)", timeout=30)


def test_other_encodings_break_no_page(cluster: Cluster, leader: Node) -> None:
    """Names that all databases share have the bytes of where they were made; Prometheus refuses a page for one of them."""
    with leader.session(timeout=30) as session:
        session.query("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'", timeout=30)
    with leader.session(database="latin", timeout=30) as session:
        session.query('CREATE DATABASE "caf\u00e9"', timeout=30)
        session.query("CREATE EXTENSION fawkes_ha")
        session.query("CREATE VIEW shops AS SELECT 'caf\u00e9' AS kind, 3 AS many")
        session.query("SELECT fawkes_ha.add_metrics('shops')")

    def shown() -> bool:
        page = scrape(leader)
        return page.get('cnpg_shops_many{kind="caf\u00e9"}') == 3 and 'cnpg_pg_database_xid_age{datname="caf?"}' in page

    until("they are shown", shown)
    with leader.session(database="latin", timeout=30) as session:
        session.query('DROP DATABASE "caf\u00e9" WITH (FORCE)', timeout=30)
    with leader.session(timeout=30) as session:
        session.query("DROP DATABASE latin WITH (FORCE)", timeout=30)


def test_a_database_that_is_scraped_can_be_dropped(cluster: Cluster, leader: Node) -> None:
    with leader.session(timeout=30) as session:
        session.query("CREATE DATABASE going")
        until("it is visited", lambda: 'fawkes_ha_exporter_age_seconds{datname="going"}' in scrape(leader))
        session.query("DROP DATABASE going", timeout=30)
    until("it is forgotten", lambda: 'fawkes_ha_exporter_age_seconds{datname="going"}' not in scrape(leader))


def test_a_database_s_settings_delay_no_visit(cluster: Cluster, leader: Node) -> None:
    """Its owner may have each transaction wait for a safe snapshot: ours do not."""
    with leader.session(30) as session:
        session.query("CREATE DATABASE slow", timeout=30)
        for setting in ("isolation = serializable", "deferrable = on", "read_only = on"):
            session.query(f"ALTER DATABASE slow SET default_transaction_{setting}")
    with leader.session(30, "slow") as writer:
        writer.query("BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE")
        writer.query("CREATE TABLE t ()")
        until("it is visited", lambda: 'fawkes_ha_exporter_age_seconds{datname="slow"}' in scrape(leader), 30)
        writer.query("ROLLBACK")
    with leader.session(30) as session:
        session.query("DROP DATABASE slow WITH (FORCE)", timeout=30)


def test_a_thousand_idle_connections(cluster: Cluster, leader: Node) -> None:
    idle = []
    try:
        for _ in range(1000):
            idle.append(http.connect(leader.exporter_port))
        assert scrape(leader)["fawkes_ha_lease_held"] == 1
    finally:
        for connection in idle:
            connection.close()


def test_other_paths_and_verbs(cluster: Cluster, leader: Node) -> None:
    assert http.status(leader.exporter_port, "/primary") == 404
    assert http.ask(leader.exporter_port, "/metrics", verb="POST", body=b"x").status == 405
    assert http.ask(leader.exporter_port, "/metrics", verb="HEAD").body == b""


def test_a_server_that_recovers_answers(cluster: Cluster, leader: Node) -> None:
    """No SQL is possible, and what fawkes_ha measures of itself is there."""
    standby = cluster.others(leader)[0]
    cluster.fill_wal(leader, 64 << 20)
    until("it has all", lambda: cluster.streams(standby, leader))
    standby.kill()
    standby.start()
    startup = until("it recovers", lambda: standby.titled("startup"), every=0.002)
    process.send(startup, signal.SIGSTOP)
    try:
        page = until("it answers", lambda: recovering(standby), 60)
        assert page[UP] == 0
        assert page["cnpg_last_update_timestamp"] == 0
        assert page['fawkes_ha_role{role="down"}'] == 1
    finally:
        process.send(startup, signal.SIGCONT)
    cluster.wait_all_stream()


def recovering(node: Node) -> Page | None:
    try:
        page = scrape(node)
    except OSError:
        return None
    return page if page.get("fawkes_ha_agent_up") == 1 else None


def fetch(node: Node, context: ssl.SSLContext | None, token: str | None) -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    scheme = "http" if context is None else "https"
    request = urllib.request.Request(f"{scheme}://localhost:{node.exporter_port}/metrics", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_token_is_wanted(cluster: Cluster, leader: Node) -> None:
    standby = cluster.others(leader)[0]
    file = standby.directory / "token"
    file.write_text("first\n")
    standby.write_settings(**{"fawkes_ha.exporter_token_file": str(file)})
    standby.stop()
    standby.start()
    cluster.wait_all_stream()
    try:
        until("it answers", lambda: fetch(standby, None, "first") == 200)
        assert [fetch(standby, None, token) for token in (None, "", "firs", "first2", "second")] == [401] * 5
        file.write_text("second\n")
        process.send([standby.supervisor_pid], signal.SIGHUP)
        until("the new one counts", lambda: fetch(standby, None, "second") == 200)
        assert fetch(standby, None, "first") == 401
        assert "first" not in standby.log.read_text().replace("first client", "")
    finally:
        standby.write_settings()
        standby.stop()
        standby.start()
        cluster.wait_all_stream()


def test_certificates(cluster: Cluster, leader: Node) -> None:
    """TLS by a given certificate; clients need one of the given authority's."""
    standby = cluster.others(leader)[0]
    authority, foreign = Authority(standby.directory / "ca"), Authority(standby.directory / "foreign")
    own = authority.server("exporter", ["DNS:localhost"])
    tls = standby.directory / "tls"
    tls.mkdir()
    shutil.copy(own.certificate, tls / "tls.crt")
    shutil.copy(own.key, tls / "tls.key")
    settings = {"fawkes_ha.exporter_tls_directory": str(tls)}
    settings["fawkes_ha.exporter_client_ca_file"] = str(authority.certificate)
    standby.write_settings(**settings)
    standby.stop()
    standby.start()
    cluster.wait_all_stream()

    def context(client: Certificate | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(authority.certificate))
        if client:
            context.load_cert_chain(client.certificate, client.key)
        return context

    try:
        until("it answers", lambda: fetch(standby, context(authority.client("client")), None) == 200)
        assert fetch(standby, context(None), None) == 403
        assert fetch(standby, context(own), None) == 403, "a server's certificate"
        assert fetch(standby, context(foreign.client("client")), None) == 403
        with pytest.raises(OSError):
            fetch(standby, None, None)
    finally:
        standby.write_settings()
        standby.stop()
        standby.start()
        cluster.wait_all_stream()


def test_the_status_page_and_its_document(cluster: Cluster, leader: Node) -> None:
    """The page lets nothing in from elsewhere; the document is as its schema says, on every member."""
    page = http.ask(leader.exporter_port, "/")
    assert page.status == 200 and page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    schema = json.loads((TREE / "docs" / "exporter-status.schema.json").read_text())
    for node in cluster.nodes:
        document = http.ask(node.exporter_port, "/status").json
        jsonschema.validate(document, schema)
        assert {member["member"] for member in document["members"]} == {n.name for n in cluster.nodes}


def test_status_says_where_they_are(cluster: Cluster, leader: Node) -> None:
    told = leader.command("status").stdout
    for node in cluster.nodes:
        assert f"{node.name} http://127.0.0.1:{node.exporter_port}/" in told


def test_a_port_that_another_member_has(cluster: Cluster, leader: Node) -> None:
    """As with two members of one machine and the usual port: status does not lead to the other one's page."""
    standby = cluster.others(leader)[0]
    since = standby.log.stat().st_size
    taken = f"127.0.0.1:{leader.exporter_port}"
    standby.write_settings(**{"fawkes_ha.exporter_listen": taken})
    standby.stop()
    standby.start()
    cluster.wait_all_stream()
    line = standby.wait_for_log(f'"{taken}": Address already in use', 30, since)
    assert "WARNING:  [exporter_fails] this member shows no metrics: could not listen on fawkes_ha.exporter_listen" in line

    def says_so() -> str | None:
        told = leader.command("status").stdout
        return told if f"{standby.name} shows no status page and no metrics" in " ".join(told.split()) else None

    told = until("status says so", says_so, 30)
    assert f"{leader.name} http://{taken}/" in told and told.count(taken) == 1
    standby.write_settings()
    standby.stop()
    since = standby.log.stat().st_size
    standby.start()
    cluster.wait_all_stream()
    until("its page is there again", lambda: f"{standby.name} http://" in leader.command("status").stdout, 30)
    until("it answers", lambda: http.ask(standby.exporter_port, "/status").status == 200)
    assert standby.log.read_text()[since:].count("metrics are on") == 1, "once, whatever was reloaded"


def test_no_worker_for_other_databases(directory: Path) -> None:
    """Who is scraped shows what one collector can tell, and says what it could not."""
    (directory / "lock").mkdir(mode=0o700)
    port, exporter = free_ports(2, 5981)
    settings = {
        "fawkes_ha.cluster_name": CLUSTER_NAME,
        "fawkes_ha.lock": f"dir:{directory}/lock",
        "fawkes_ha.bootstrap": "initdb",
        # The agent, the maintenance worker, the exporter, and one that comes and goes.
        "max_worker_processes": "4",
        "max_logical_replication_workers": "0",
    }
    node = Node("n1", directory, directory, port, settings)
    node.export_on(exporter)
    try:
        node.prepare("a-password")
        node.start()
        until("it leads", lambda: is_leading(node), 120)
        node.wait_for_extension()
        with node.session(timeout=30) as session:
            session.query("CREATE DATABASE other")
        page = until("postgres is shown", lambda: alone(node))
        assert 'fawkes_ha_exporter_age_seconds{datname="other"}' not in page
        node.wait_for_log('metrics of database "other": collector: no background worker is free')
    finally:
        node.stop()
        node.kill()


def alone(node: Node) -> Page | None:
    page = scrape(node)
    return page if page[UP] == 1 else None
