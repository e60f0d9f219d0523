"""The status page, in a real Chromium: what it shows, to whom, and what it lets in."""

import json
import time
from pathlib import Path

import jsonschema
import pytest

from lab import http
from lab.browser import Browser
from lab.cluster import Cluster
from lab.page import PageServer
from lab.wait import until

SCHEMA = json.loads((Path(__file__).parent.parent / "docs" / "exporter-status.schema.json").read_text())
EXPORT = True  # for the fixture `cluster`
SETTLE_S = 60
PHONE = 360
DESK = 1100
# WCAG 2: AA wants 4.5 of text of this size.
CONTRAST = 4.5
HOSTILE = [
    "<img src=x onerror=\"document.title='taken'\">",
    "<script>document.title='taken'</script>",
    "\"><svg onload=document.title='taken'>",
    "javascript:document.title='taken'",
]

# Of each text in the page to what stands behind it; those below the limit.
LOW_CONTRAST = """
(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    for (let e = one; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !one.checkVisibility() || one.closest("noscript")) continue;
    const style = getComputedStyle(one);
    const colour = parse(one.namespaceURI.endsWith("svg") ? style.fill : style.color);
    const [a, b] = [light(colour), light(behind(one))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < LIMIT) low.push(`${one.tagName}.${one.className}: ${walker.currentNode.data.trim()} ${ratio.toFixed(2)}`);
  }
  return low;
})()
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory):
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def server(directory: Path):
    with PageServer(directory) as server:
        yield server


@pytest.fixture
def page(browser: Browser):
    """The browser as a person with a desk and light colours has it."""
    browser.size(DESK)
    browser.prefer(prefers_color_scheme="light", prefers_reduced_motion="no-preference")
    return browser


def snapshot_of(cluster: Cluster) -> dict:
    standby = cluster.others(cluster.wait_all_stream())[0]
    standby.wait_for_extension()
    return standby.value("SELECT fawkes_ha.snapshot()")


def roles(page: Browser) -> dict[str, str]:
    names = page.texts("#members tbody th")
    return dict(zip(names, page.texts("#members .role"), strict=True))


def wanted_roles(cluster: Cluster, leader) -> dict[str, str]:
    return {node.name: "primary" if node is leader else "standby" for node in cluster.nodes}


def looks(count: int):
    """So many, each a moment after the one before."""
    for _ in range(count):
        time.sleep(0.2)
        yield


def assert_clean(page: Browser, url: str) -> None:
    """Nothing was said on the console, no policy was met, and nobody else was asked."""
    assert page.console == []
    assert page.violations == []
    assert [request for request in page.requests if not request.startswith(url)] == []


def checked_status(port: int) -> dict:
    answer = http.ask(port, "/status")
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    jsonschema.validate(answer.json, SCHEMA, jsonschema.Draft202012Validator)
    return answer.json


def test_it_shows_a_cluster_and_follows_a_failover(cluster: Cluster, page: Browser) -> None:
    """Members, roles, lease, lag and history of a real cluster; the next primary, and why it leads."""
    leader = cluster.wait_all_stream()
    seen_by = cluster.others(leader)[0]
    url = f"http://127.0.0.1:{seen_by.exporter_port}/"
    until("the cluster is known", lambda: len(checked_status(seen_by.exporter_port)["members"]) == 3, SETTLE_S)
    page.open(url)
    until("the page has all members", lambda: roles(page) == wanted_roles(cluster, leader), SETTLE_S)
    until("nothing is wrong", lambda: page.text("#summary") == f"{leader.name} leads; nothing is wrong.", SETTLE_S)
    assert page.text("#cluster") == checked_status(seen_by.exporter_port)["cluster"]
    assert seen_by.name in page.text("#asked")
    assert leader.name in page.text("#lease")
    until("the lease is counted down", lambda: 0 < float(page.text("#remaining").removesuffix(" s")), SETTLE_S)
    standbys = sorted(node.name for node in cluster.others(leader))
    until("both standbys' lag is drawn", lambda: sorted(page.texts("#lag tbody th")) == standbys, SETTLE_S)
    until("it is known", lambda: "not known" not in page.text("#lag"), SETTLE_S)
    assert page.run("document.querySelectorAll('#plot path').length") == 2
    assert "bootstrap" in page.text("#history")
    # In the one zone that logs have, too.
    assert all(text.endswith(" UTC") for text in page.texts("#history time"))
    others = {node.name: f"http://127.0.0.1:{node.exporter_port}/" for node in cluster.others(seen_by)}
    links = "Object.fromEntries([...document.querySelectorAll('#members a')].map((a) => [a.textContent, a.href]))"
    assert page.run(links) == others
    until("SQL has told of this server", lambda: "WAL kept by slots" in page.text("#server"), SETTLE_S)
    for name in ("PostgreSQL 1", "Connections", "Longest transaction", "Oldest xid", "Volume", "Archiving"):
        assert name in page.text("#server"), name
    leader.kill()
    new = cluster.wait_for_leader(besides=leader)
    until("the page shows the new primary", lambda: roles(page).get(new.name) == "primary", SETTLE_S)
    until("it leads there", lambda: page.text("#summary").startswith(f"{new.name} leads"), SETTLE_S)
    until(
        "the history says so",
        lambda: "failover" in (first := page.text("#history li")) and new.name in first,
        SETTLE_S,
    )
    assert_clean(page, url)
    leader.start()
    cluster.wait_all_stream()


def test_what_is_wrong_and_what_to_do(cluster: Cluster, page: Browser) -> None:
    """Findings come with a severity in words, and go when what was wrong is over."""
    leader = cluster.wait_all_stream()
    assert leader.command("pause", "--reason", "a new switch").returncode == 0
    page.open(f"http://127.0.0.1:{leader.exporter_port}/")
    until("the pause is told", lambda: "failover is paused: a new switch" in page.text("#findings"), SETTLE_S)
    assert "WARNING" in page.text("#findings .severity")
    assert "Do: when the work is done: fawkes-ha resume" in page.text("#findings")
    assert "Fence shuts in" in page.text("#lease")

    def counts_on() -> bool:
        """In every look over several renewals: the page asks again before the countdown ends."""
        return all(page.text("#remaining") not in ("0.0 s", "not known") for _ in looks(15))

    until("the countdown does not end between answers", counts_on, SETTLE_S)
    table = leader.command("status").stdout
    assert "failover is paused: a new switch\n" in table and "do: " in table
    assert leader.command("resume").returncode == 0
    until("it is over", lambda: page.text("#findings") == "Nothing is wrong.", SETTLE_S)
    assert "failover is paused" not in leader.command("status").stdout


def test_a_phone_and_the_dark(cluster: Cluster, server: PageServer, page: Browser) -> None:
    """At 360 px nothing is wider than the screen; dark is dark; every text can be read in both."""
    snapshot = snapshot_of(cluster)
    snapshot["cluster"]["paused"], snapshot["cluster"]["pause_reason"] = True, "w" * 150
    snapshot["members"][0]["pending_restart"] = True
    snapshot["members"][1]["updated_at"] = "2020-01-01T00:00:00.000Z"
    server.show(snapshot)
    page.open(server.url)
    until("the page has all members", lambda: len(roles(page)) == 3, SETTLE_S)
    grounds = set()
    for scheme in ("light", "dark"):
        page.prefer(prefers_color_scheme=scheme)
        for width in (DESK, PHONE):
            page.size(width)
            assert page.run("document.documentElement.scrollWidth") <= width
        grounds.add(page.run("getComputedStyle(document.body).backgroundColor"))
        assert page.run(LOW_CONTRAST.replace("LIMIT", str(CONTRAST))) == []
    assert len(grounds) == 2
    assert page.run(LOW_CONTRAST.replace("LIMIT", "22")) != []  # no text has that: the measure measures
    assert_clean(page, server.url)


def test_a_keyboard_reaches_everything(cluster: Cluster, server: PageServer, page: Browser) -> None:
    """In the order of the page, visibly; what a mouse does, keys do."""
    snapshot = snapshot_of(cluster)
    snapshot["history"] = (snapshot["history"] * 30)[:30]
    server.show(snapshot)
    page.open(server.url)
    until("the page has all members", lambda: len(roles(page)) == 3, SETTLE_S)
    stops = []
    for _ in range(8):
        stops.append(page.tab())
        assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    others = sorted(node.name for node in cluster.nodes if node.name != snapshot["member"])
    assert stops == ["Skip to the cluster", "pause", *others, "ms", "older", "/status", "/metrics"]
    page.run("document.getElementById('older').focus()")
    before = len(page.texts("#history li"))
    page.press(" ", 32)
    until("the older entries are there", lambda: len(page.texts("#history li")) > before, SETTLE_S)
    page.run("document.querySelector('input[value=ms]').focus()")
    page.press("ArrowRight", 39)
    assert page.run("document.querySelector('input[name=unit]:checked').value") == "bytes"
    until("the plot is of bytes", lambda: "B" in page.run("document.querySelector('#plot text').textContent"), SETTLE_S)
    page.run("document.getElementById('pause').focus()")
    page.press("Enter", 13)
    assert page.run("document.getElementById('pause').getAttribute('aria-pressed')") == "true"
    until("what is shown is old", lambda: "Updates are paused." in page.text("#stale"), SETTLE_S)
    asked = len(page.requests)
    page.press("Enter", 13)
    until("it is new again", lambda: page.run("document.getElementById('stale').hidden"), SETTLE_S)
    assert len(page.requests) > asked


def test_it_tells_a_screen_reader(cluster: Cluster, server: PageServer, page: Browser) -> None:
    """The names and roles that the browser gives to assistive technology."""
    server.show(snapshot_of(cluster))
    page.open(server.url)
    until("the page has all members", lambda: len(roles(page)) == 3, SETTLE_S)
    named = page.accessible()
    for role, name in {
        ("heading", "Members"),
        ("table", "Members"),
        ("rowheader", cluster.nodes[0].name),
        ("columnheader", "Role"),
        ("button", "Pause updates"),
        ("radio", "time"),
        ("table", "Replay lag: now, and the most in the last 10 minutes"),
    }:
        assert (role, name) in named
    assert any(role == "image" and name.startswith("Plot of replay lag") for role, name in named)
    page.size(PHONE)
    assert ("table", "Members") in page.accessible() and ("rowheader", cluster.nodes[0].name) in page.accessible()


def test_hostile_texts_stay_texts(cluster: Cluster, server: PageServer, page: Browser) -> None:
    """Reasons, states and names come from others: none becomes an element or runs."""
    snapshot = snapshot_of(cluster)
    # As long as a record may have them.
    sizes = {"event": 15, "member": 40, "from": 40, "reason": 199, "result": 199, "request": 16, "requested_by": 63, "at": 24}
    snapshot["history"] = [{key: text[:size] for key, size in sizes.items()} for text in HOSTILE]
    snapshot["cluster"] |= {"paused": True, "pause_reason": HOSTILE[0]}
    for key in ("state", "address"):
        snapshot["members"][0][key] = HOSTILE[0]
    for member in snapshot["members"]:
        member["exporter"] = HOSTILE[3]
    server.show(snapshot)
    page.open(server.url)
    until("the page has all members", lambda: len(roles(page)) == 3, SETTLE_S)
    history = page.text("#history")
    for text in HOSTILE:
        assert text in history
    assert HOSTILE[0] in page.text("#members") and HOSTILE[0] in page.text("#findings")
    assert page.run("document.querySelectorAll('main img, main script, main [onload], main [onerror]').length") == 0
    assert page.run("document.querySelectorAll('#members a').length") == 0
    assert page.run("document.title") != "taken"
    assert_clean(page, server.url)


def test_its_policy_lets_nothing_in(cluster: Cluster, server: PageServer, page: Browser) -> None:
    """What a hole in the page would try: the browser refuses, and the other tests would see it."""
    server.show(snapshot_of(cluster))
    page.open(server.url)
    until("the page has all members", lambda: len(roles(page)) == 3, SETTLE_S)
    for attempt in ("document.body.innerHTML = 'x'", "document.body.setAttribute('onclick', 'document.title = `taken`')"):
        assert page.run(f"(() => {{ try {{ {attempt}; return 'done'; }} catch {{ return 'refused'; }} }})()") == "refused"
    page.run(
        "new Promise((done) => { const one = document.createElement('img'); one.onload = one.onerror = done;"
        " one.src = 'http://127.0.0.2:1/'; document.body.append(one); }).then(() => 1)"
    )
    until("the browser told of it", lambda: page.run("1") and page.violations and page.console, SETTLE_S)
    for path in ("/", "/page.css", "/page.js", "/plot.js", "/icon.svg", "/status"):
        headers = http.ask(server.port, path).headers
        assert headers["content-security-policy"].startswith("default-src 'none';")
        assert "unsafe" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        # Every answer of an exporter has this, also those that are not of the page.
        of_exporter = http.ask(cluster.nodes[0].exporter_port, path).headers
        assert of_exporter["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"


def test_old_knowledge_is_marked(cluster: Cluster, server: PageServer, page: Browser) -> None:
    """A server that hangs or is gone: no countdown goes on, and the age is told; it comes back by itself."""
    server.show(snapshot_of(cluster))
    page.open(server.url)
    until("the page has all members", lambda: len(roles(page)) == 3, SETTLE_S)
    assert page.run("document.getElementById('stale').hidden")
    server.freeze()
    try:
        until("the hang is told", lambda: "it takes too long" in page.text("#stale"), SETTLE_S)
        assert page.text("#remaining") == "not known"
        assert "OLD" in page.text("#stale") and page.text("#summary").startswith("Not known")
    finally:
        server.thaw()
    until("it is new again", lambda: page.run("document.getElementById('stale').hidden"), SETTLE_S)
    server.stop()
    until("the end is told", lambda: "no connection" in page.text("#stale"), SETTLE_S)
    assert page.text("#remaining") == "not known"


def test_the_readmes_picture_is_there() -> None:
    """make page-picture renews it; what it looks like is for people to judge."""
    picture = Path(__file__).parent.parent / "docs" / "status-page.png"
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n"), "make page-picture"
