// The status page: asks /status while it is visible, and shows the answer with its age.
// Texts come from outside (reasons, names): they enter the page as text nodes alone.

import { bytes, draw, duration, key, show } from "/plot.js";

const PERIOD_MS = 2000;
// A lease that is short is asked for so often that its countdown does not end between two answers.
const PERIOD_LEAST_MS = 500;
const RUNBOOK = "docs/operations.md";
const ANSWER_MS = 4000;
const STALE_MS = 6000;
const AGENT_STALE_MS = 10000;
const HISTORY_FIRST = 10;

const at = (id) => document.getElementById(id);
const state = { data: null, received: 0, failure: "", paused: false, older: false, timer: 0, asking: null, shown: new Map() };

function make(name, options = {}, ...children) {
  const element = document.createElement(name);
  for (const [name_, value] of Object.entries(options)) {
    if (name_ === "class") element.className = value;
    else element.setAttribute(name_, value);
  }
  element.append(...children.map(String));
  return element;
}

function tree(name, options, ...children) {
  const element = make(name, options);
  element.append(...children);
  return element;
}

// What did not change is left alone, so that a reader's place in it is, too.
function replace(id, what, build) {
  const text = JSON.stringify(what);
  if (state.shown.get(id) === text) return;
  state.shown.set(id, text);
  build();
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function headline(data) {
  const bad = data.findings.filter((one) => one.severity !== "notice").length;
  const out = data.findings.some((one) => one.name === "no_writes");
  const lead = !data.lease || !data.lease.held ? "Nobody leads" : out ? "Nobody can write" : `${data.lease.holder} leads`;
  const wrong = bad === 0 ? "nothing is wrong" : bad === 1 ? "one thing is wrong" : `${bad} things are wrong`;
  return `${lead}; ${wrong}.`;
}

function drawFindings(data) {
  const items = data.findings.map((one) =>
    tree(
      "li",
      { class: one.severity },
      make("span", { class: "severity" }, one.severity),
      make("span", { class: "what" }, one.what),
      make("div", { class: "todo" }, `Do: ${one.todo}`),
    ),
  );
  if (items.length === 0) items.push(make("li", { class: "fine" }, "Nothing is wrong."));
  else items.push(make("li", { class: "soft" }, `Each sentence, and what to do, stands in ${RUNBOOK}.`));
  at("findings").replaceChildren(...items);
}

function fact(name, value, id) {
  return tree("div", {}, make("dt", {}, name), make("dd", id ? { id, class: "num" } : { class: "num" }, value));
}

function drawLease(data) {
  const lease = data.lease;
  const list = make("dl", { class: "facts" });
  if (lease) {
    const holder = lease.released ? `${lease.holder} (released)` : lease.held ? lease.holder : `${lease.holder} (lapsed)`;
    list.append(
      fact("Holder", holder),
      fact(lease.mine ? "Fence shuts in" : "Others may take it in", "", "remaining"),
      fact("Term", lease.term),
      fact("Timeline", lease.timeline),
      fact("Duration", duration(lease.duration_ms)),
      fact("Since", clock(lease.acquired_at)),
    );
    if (data.paused) list.append(fact("Failover", "paused"));
  } else list.append(fact("Holder", "not known yet"));
  list.append(fact("Fence of this server", data.fence.open ? "open" : "shut"));
  at("lease").replaceChildren(list);
}

function lagText(member) {
  if (member.replay && member.replay.ms !== undefined) {
    const size = member.replay.bytes === undefined ? "" : `, ${bytes(member.replay.bytes)}`;
    return `${duration(member.replay.ms)}${size}`;
  }
  if (member.lag_bytes !== undefined) return bytes(member.lag_bytes);
  return member.role === "primary" ? "–" : "not known";
}

function cell(label, text, style = "") {
  return make("td", { role: "cell", "data-label": label, class: style }, text);
}

function drawMembers(data) {
  const rows = data.members.map((member) => {
    const role = tree("td", { role: "cell", "data-label": "Role" }, make("span", { class: `role ${member.role}` }, member.role));
    if (member.holds_lease) role.append(" holds the lease");
    const extra = member.pending_restart ? "; waits for a restart" : "";
    return tree(
      "tr",
      { role: "row" },
      nameCell(member, data),
      role,
      cell("Timeline", member.timeline, "num"),
      cell("LSN", member.lsn, "mono"),
      cell("Lag", lagText(member), "num"),
      cell("Address", member.address, "mono"),
      cell("State", member.state + extra),
    );
  });
  at("members").tBodies[0].replaceChildren(...rows);
}

function volumeText(volume) {
  const free = volume.free === undefined ? "not known" : `${bytes(volume.free)} free`;
  return `${free} of ${bytes(volume.bytes)}`;
}

function slotsText(slots) {
  if (slots.length === 0) return "none";
  return slots.map((one) => `${one.name} ${one.bytes === undefined ? "not known" : bytes(one.bytes)}`).join(", ");
}

function drawServer(data) {
  const server = data.server;
  const list = make("dl", { class: "facts" });
  const known = (name, value) => value !== undefined && list.append(fact(name, value));
  list.append(fact("Versions", `PostgreSQL ${server.postgres ?? "not known"}, fawkes_ha ${server.fawkes_ha}`));
  known("Started", server.started_at === undefined ? undefined : clock(server.started_at * 1000));
  if (server.connections !== undefined)
    list.append(fact("Connections", `${server.connections} of ${server.max_connections ?? "not known"}`));
  known("Longest transaction", server.longest_transaction_s === undefined ? undefined : duration(server.longest_transaction_s * 1000));
  known("Oldest xid", server.xid_age === undefined ? undefined : `${server.xid_age.toLocaleString("en")} transactions old`);
  if (server.data_volume) list.append(fact("Volume", volumeText(server.data_volume)));
  if (server.wal_volume) list.append(fact("Volume of WAL", volumeText(server.wal_volume)));
  if (server.age_ms !== undefined) list.append(fact("WAL kept by slots", slotsText(server.slots)));
  known("Archiving", server.archiving);
  if (server.age_ms === undefined) list.append(fact("More", "no answer from SQL yet"));
  else if (server.age_ms > STALE_MS) list.append(fact("As SQL said", `${duration(server.age_ms)} ago`));
  at("server").replaceChildren(list);
}

// A page of a member: its address comes from its record, and is only ever a web page.
function nameCell(member, data) {
  const cell = make("th", { role: "rowheader", scope: "row" });
  const link = /^https?:\/\//.test(member.exporter ?? "") && member.member !== data.member;
  cell.append(link ? make("a", { href: member.exporter }, member.member) : member.member);
  return cell;
}

const unit = () => document.querySelector("input[name=unit]:checked").value;

// Who leads has no lag, and had one before perhaps.
function lags(data) {
  const leads = new Set(data.members.filter((one) => one.holds_lease).map((one) => one.member));
  const members = data.lag.members.filter((one) => !leads.has(one.member));
  return { ...data.lag, members: members.sort((a, b) => (a.member < b.member ? -1 : 1)) };
}

function drawLag() {
  const lag = lags(state.data);
  const rows = lag.members.map((one, index) => {
    const known = one[unit()].filter((value) => value >= 0);
    const last = one[unit()][lag.age_ms.length - 1];
    return tree(
      "tr",
      {},
      tree("th", { scope: "row" }, key(index), one.member),
      make("td", { class: "num" }, last >= 0 ? show[unit()](last) : "not known"),
      make("td", { class: "num" }, known.length > 0 ? show[unit()](Math.max(...known)) : "not known"),
    );
  });
  draw(at("plot"), lag, unit());
  at("lag").tBodies[0].replaceChildren(...rows);
}

// In UTC, as logs and fawkes-ha history have it.
function clock(text) {
  const when = new Date(text);
  return Number.isNaN(when.getTime()) ? text : `${when.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

function sentence(entry) {
  const parts = [];
  if (entry.member) parts.push(entry.from && entry.from !== entry.member ? `${entry.from} → ${entry.member}` : entry.member);
  if (entry.term !== undefined) parts.push(`term ${entry.term}, timeline ${entry.timeline}`);
  if (entry.requested_by) parts.push(`asked for by ${entry.requested_by}`);
  if (entry.reason) parts.push(entry.reason);
  if (entry.result) parts.push(entry.result);
  return parts.join("; ");
}

function drawHistory() {
  const all = state.data.history;
  const items = all.slice(0, state.older ? all.length : HISTORY_FIRST).map((entry) =>
    tree(
      "li",
      {},
      make("time", { class: "soft", datetime: entry.at ?? "" }, clock(entry.at ?? "")),
      make("span", { class: "event" }, entry.event ?? ""),
      make("span", { class: "reason" }, sentence(entry)),
    ),
  );
  if (items.length === 0) items.push(make("li", {}, "Nothing yet."));
  at("history").replaceChildren(...items);
  at("older").hidden = all.length <= HISTORY_FIRST;
  setText(at("older"), state.older ? "Show the newest entries only" : `Show all ${all.length} entries`);
}

// Why what is shown is not how it is; "" while it is.
function whyOld(age, agentAge) {
  if (state.failure !== "") return `This member does not answer: ${state.failure}.`;
  if (state.paused && age > STALE_MS) return "Updates are paused.";
  if (state.data !== null && age > STALE_MS) return "No answer has come for some seconds.";
  if (state.data !== null && !state.data.agent.running) return "This server's agent does not run.";
  return agentAge > AGENT_STALE_MS ? "This server's agent hangs." : "";
}

// Countdown and age go on between answers, and are not shown as true when there are none.
function tick() {
  const data = state.data;
  const age = performance.now() - state.received;
  const agentAge = data === null ? 0 : (data.agent.age_ms ?? 0) + age;
  const why = whyOld(age, agentAge);
  at("stale").hidden = why === "";
  setText(at("why"), why);
  document.body.classList.toggle("stale", why !== "");
  if (data === null) {
    if (why !== "") setText(at("summary"), "Nothing is known.");
    return;
  }
  setText(at("age"), `OLD: what is shown was so ${duration(agentAge)} ago.`);
  setText(at("summary"), why === "" ? headline(data) : `Not known; when it was last heard: ${headline(data)}`);
  const remaining = at("remaining");
  if (remaining === null) return;
  const left = Math.max(0, (data.lease.remaining_ms ?? 0) - age);
  const known = why === "" && data.lease.remaining_ms !== undefined;
  setText(remaining, known ? `${(left / 1000).toFixed(1)} s` : "not known");
  at("countdown").hidden = !known;
  at("countdown").value = Math.min(1, left / data.lease.duration_ms);
}

function render() {
  const data = state.data;
  setText(at("cluster"), data.cluster === "" ? "fawkes_ha" : data.cluster);
  document.title = `${headline(data)} ${data.cluster}`;
  setText(at("asked"), `as ${data.member === "" ? "this server" : data.member} sees it (${data.role})`);
  replace("findings", data.findings, () => drawFindings(data));
  const lease = { ...data.lease, remaining_ms: 0, age_ms: 0, renewed_at: "" };
  replace("lease", [data.lease === undefined, lease, data.paused, data.fence.open], () => drawLease(data));
  replace("members", data.members, () => drawMembers(data));
  at("server-section").hidden = data.server === undefined;
  if (data.server) replace("server", data.server, () => drawServer(data));
  replace("history", [data.history, state.older], drawHistory);
  drawLag();
  tick();
}

function period() {
  const lease = state.data && state.data.lease ? state.data.lease.duration_ms : Infinity;
  return Math.max(PERIOD_LEAST_MS, Math.min(PERIOD_MS, lease / 4));
}

async function ask() {
  clearTimeout(state.timer);
  if (state.asking !== null) return;
  const abort = new AbortController();
  const limit = setTimeout(() => abort.abort(), ANSWER_MS);
  state.asking = abort;
  try {
    const answer = await fetch("/status", { signal: abort.signal, cache: "no-store", redirect: "error" });
    if (!answer.ok) throw new Error(`it says ${answer.status}`);
    const data = await answer.json();
    state.data = data;
    state.received = performance.now();
    state.failure = "";
    render();
  } catch (error) {
    state.failure = abort.signal.aborted ? "it takes too long" : error instanceof TypeError ? "no connection" : error.message;
    tick();
  } finally {
    clearTimeout(limit);
    state.asking = null;
    if (!state.paused && document.visibilityState === "visible") state.timer = setTimeout(ask, period());
  }
}

at("pause").addEventListener("click", () => {
  state.paused = !state.paused;
  at("pause").setAttribute("aria-pressed", String(state.paused));
  clearTimeout(state.timer);
  if (!state.paused) ask();
});
at("older").addEventListener("click", () => {
  state.older = !state.older;
  drawHistory();
});
for (const input of document.querySelectorAll("input[name=unit]"))
  input.addEventListener("change", () => state.data !== null && drawLag());
addEventListener("resize", () => state.data !== null && drawLag());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && !state.paused) ask();
});
const slow = matchMedia("(prefers-reduced-motion: reduce)");
setInterval(tick, slow.matches ? 1000 : 200);
ask();
