// Draws what the session sends. Everything that came from a file, a board or a test is text, never markup.
"use strict";

const PHASES = {
  waiting: ["Waiting", "waiting"], preparing: ["Preparing", "running"], checking: ["Checking", "running"],
  running: ["Running", "running"], comparing: ["Comparing", "running"], judging: ["Judging", "running"],
  passed: ["Passed", "passed"], failed: ["Failed", "failed"], incomplete: ["Incomplete", "unfinished"],
  broken: ["The board failed", "failed"],
  // The session has ended, and this run has not.
  unrun: ["Not run", "waiting"], unfinished: ["Not finished", "unfinished"],
};
const ENDED = new Set(["passed", "failed", "incomplete", "broken"]);
const STATES = {
  absent: ["not opened", ""], ready: ["ready", ""], streaming: ["streaming", "running"],
  restarting: ["starting again", "unfinished"], lost: ["given up", "failed"], done: ["done", "passed"],
};
const COLOURS = { waiting: "7b8694", running: "2358d8", passed: "0d7040", failed: "b3211f", unfinished: "c07a00" };
const SIGNS = {
  passed: "M12 1a11 11 0 1 0 0 22a11 11 0 1 0 0-22M7 12.4l3.4 3.4L17 9.2",
  failed: "M12 1a11 11 0 1 0 0 22a11 11 0 1 0 0-22M8.3 8.3l7.4 7.4M15.7 8.3l-7.4 7.4",
};
const RETRY_MS = 3000;
// Of the server's own periods: it says that often, at least, that it is there.
const SILENT_PERIODS = 3;

const $ = (id) => document.getElementById(id);
const sections = new Map();
const dirty = new Set();
let scheduled = false;
let drawn = null;
let source = null;
let attempt = 0;

// Words and figures

const whole = (value) => Math.round(value).toLocaleString("en-GB");
const minus = (text) => text.replace("-", "−");

function percent(share, digits = 2) {
  let text = (100 * share).toFixed(digits);
  if (share < 1 && Number(text) === 100) text = (100 - 10 ** -digits).toFixed(digits);
  return `${text} %`;
}

function figure(value) {
  if (Math.abs(value) >= 1000) return minus(whole(value));
  return minus(String(Number(value.toPrecision(4))));
}

function duration(seconds) {
  if (seconds < 10 && !Number.isInteger(seconds)) return `${seconds.toFixed(1)} s`;
  const all = Math.round(seconds);
  if (all < 60) return `${all} s`;
  if (all < 3600) return `${Math.floor(all / 60)} min ${all % 60} s`;
  return `${Math.floor(all / 3600)} h ${Math.floor((all % 3600) / 60)} min`;
}

function short(value) {
  for (const [size, letter] of [[1e6, "M"], [1e4, "k"]]) {
    if (value >= size) return `${Number((value / (letter === "k" ? 1e3 : size)).toPrecision(4))}${letter}`;
  }
  return String(Number(value.toPrecision(6)));
}

// Elements

function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function shape(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function placed(element, place) {
  Object.assign(element.style, place);
  return element;
}

function sign(kind) {
  const svg = shape("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" });
  const path = kind === "passed" ? "M4 12.5l5.5 5.5L20 6.5" : "M5 5l14 14M19 5L5 19";
  svg.append(shape("path", { d: path, fill: "none", stroke: "currentColor", "stroke-width": "3.4", "stroke-linecap": "round", "stroke-linejoin": "round" }));
  return svg;
}

function say(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

// Gives an element what was made anew, and keeps each node that was there: with one that goes, so do the focus, what is
// selected, where a screen reader is, and a click that has begun.
function fill(parent, ...made) {
  made.forEach((fresh, place) => {
    const old = parent.childNodes[place];
    if (!old) parent.append(fresh);
    else if (old.nodeName !== fresh.nodeName) old.replaceWith(fresh);
    else if (old.nodeType === Node.TEXT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
    } else {
      dress(old, fresh);
      fill(old, ...fresh.childNodes);
    }
  });
  while (parent.childNodes.length > made.length) parent.lastChild.remove();
}

function dress(old, fresh) {
  for (const name of old.getAttributeNames()) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const name of fresh.getAttributeNames()) {
    // The page's policy refuses a style that comes as an attribute.
    if (name !== "style" && old.getAttribute(name) !== fresh.getAttribute(name)) old.setAttribute(name, fresh.getAttribute(name));
  }
  if (old.style.cssText !== fresh.style.cssText) old.style.cssText = fresh.style.cssText;
}

// Which run is shown: the one that was chosen, or else the one that is at work

const section = (run, name) => sections.get(`${run}/${name}`);
const runs = () => sections.get("session")?.runs ?? [];
function phase(run) {
  const now = section(run, "state")?.phase ?? "waiting";
  if (!sections.get("session")?.end || ENDED.has(now)) return now;
  return now === "waiting" ? "unrun" : "unfinished";
}

const stateOf = (run) => section(run, "state") && { ...section(run, "state"), phase: phase(run) };
const tone = (run) => (PHASES[phase(run)] ?? PHASES.waiting)[1];

function chosen() {
  const match = /^#run-(\d+)$/.exec(location.hash);
  if (match && Number(match[1]) < runs().length) return Number(match[1]);
  const busy = runs().findIndex((_, run) => tone(run) === "running");
  if (busy >= 0) return busy;
  const ended = runs().map((_, run) => run).filter((run) => tone(run) !== "waiting");
  return ended.length ? ended[ended.length - 1] : 0;
}

// The parts of the page

function lead(state, facts) {
  const answered = `${whole(state.done)} of ${whole(state.total)} samples answered`;
  const failed = state.failed ? `, ${whole(state.failed)} of them failed` : "";
  switch (state.phase) {
    case "waiting": return "Waits for its turn: one run at a time has the processors.";
    case "preparing": return `Builds the firmware if there is none yet, and starts the board (${state.test || "first test"}).`;
    case "checking": return "The board is there. What it is, and how it answers canaries, is checked before the first sample.";
    case "running": {
      // A run that may end early is over when its test is certain.
      const most = state.early === "" ? "at most" : "about";
      const left = state.eta_s === null ? "" : `, ${most} ${duration(Math.max(state.eta_s, 1))} to go`;
      return `${answered}${failed}${left}.`;
    }
    case "comparing":
      if (state.early) return `${answered}${failed}: ${state.early}.`;
      return `${answered}${failed}. The host is still computing its own answers: ${whole(state.compared)} are compared.`;
    case "judging":
      if (state.early) return `${answered}${failed}: ${state.early}.`;
      return `${answered}${failed} and compared with ${facts?.reference ?? "the host"}. The last tests are running: ${state.test}.`;
    case "broken": return state.broken ?? "";
    case "unrun": return "The session ended before its turn came.";
    case "unfinished": return state.done ? `${answered}${failed} when the session ended.` : "The session ended before the first sample.";
    default: {
      const figures = [
        state.top1 && `top-1 ${percent(state.top1.value)}`,
        state.agreement && `agreement with ${facts?.reference ?? "the host"} ${percent(state.agreement.value)}`,
      ].filter(Boolean);
      if (state.early) figures.push(state.early);
      return `${answered}${failed}${figures.length ? `: ${figures.join(", ")}` : ""}.`;
    }
  }
}

const share = (state) => (state.total ? state.done / state.total : 0);

function headline(state) {
  return state.phase === "running" ? `${Math.floor(100 * share(state))} %` : (PHASES[state.phase] ?? PHASES.waiting)[0];
}

function drawTop(run, state, facts, notes) {
  const kind = (PHASES[state.phase] ?? PHASES.waiting)[1];
  const part = share(state);
  $("top").className = `top ${kind}`;
  say("word", headline(state));
  say("lead", lead(state, facts));
  $("sign").toggleAttribute("hidden", !(kind in SIGNS));
  if (kind in SIGNS && $("sign").dataset.kind !== kind) {
    const [, circle, mark] = /^(.*?a11 11 0 1 0 0-22)(.*)$/.exec(SIGNS[kind]);
    $("sign").dataset.kind = kind;
    $("sign").replaceChildren(
      shape("path", { d: circle, fill: "currentColor" }),
      shape("path", { d: mark, fill: "none", stroke: "var(--card)", "stroke-width": "2.4", "stroke-linecap": "round", "stroke-linejoin": "round" }),
    );
  }
  $("bar").hidden = ["waiting", "unrun"].includes(state.phase);
  $("bar").setAttribute("aria-valuenow", String(Math.floor(100 * part)));
  $("bar").firstElementChild.style.width = `${100 * part}%`;
  const problems = (notes?.problems ?? []).map((text) => el("li", {}, text));
  if (notes?.more) problems.push(el("li", {}, `and ${whole(notes.more)} more`));
  const error = sections.get("session")?.error;
  if (error) problems.unshift(el("li", {}, `This page is out of date, the run is not: ${error}`));
  $("problems").hidden = !problems.length;
  fill($("problems"), ...problems);
  drawTab(state, facts);
}

function drawTab(state, facts) {
  const kind = (PHASES[state.phase] ?? PHASES.waiting)[1];
  const what = facts ? `${facts.model} on ${facts.name === facts.model ? facts.board : facts.name}` : "";
  document.title = `${headline(state)} · ${what || "pytest-tinyml live"}`;
  const icon = `data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='7' fill='%23${COLOURS[kind]}'/%3E%3C/svg%3E`;
  if ($("icon").getAttribute("href") !== icon) $("icon").setAttribute("href", icon);
}

function drawRuns(current) {
  $("runs").hidden = runs().length < 2;
  fill($("runs").firstElementChild, ...runs().map((name, run) => el("li", {},
    el("a", { href: `#run-${run}`, class: tone(run), "aria-current": run === current ? "true" : null },
      el("i", { "aria-hidden": "true" }), name, el("span", { class: "hidden" }, `, ${phase(run)}`)))));
}

function tile(name, value, note, bad = false) {
  return el("div", { class: bad ? "tile bad" : "tile" }, el("dt", {}, name), el("dd", { class: "value" }, value), el("dd", { class: "note" }, note));
}

const between = (share) => `95 %: ${percent(share.low).replace(" %", "")}–${percent(share.high)}`;

function drawTiles(state, facts) {
  const regression = facts?.task === "regression";
  const far = ENDED.has(state.phase) ? "" : " so far";
  const tiles = [
    tile("Answered", whole(state.done), `of ${whole(state.total)}${state.resumed ? `, ${whole(state.resumed)} of them kept from before` : ""}`),
    tile("Samples per second", state.rate ? figure(state.rate) : "–", state.elapsed_s === undefined ? "not started" : `in ${duration(state.elapsed_s)}`),
  ];
  if (regression) {
    tiles.push(tile(`Root mean square error${far}`, state.rmse == null ? "–" : figure(state.rmse), "against the targets"));
  } else {
    const none = facts?.labelled ? "nothing answered yet" : "the data have no labels";
    tiles.push(tile(`Top-1${far}`, state.top1 ? percent(state.top1.value) : "–", state.top1 ? between(state.top1) : none));
  }
  const same = regression ? "the same output" : "the same label";
  const apart = state.agreement ? state.agreement.whole - state.agreement.part : 0;
  tiles.push(tile(`Agreement${far}`, state.agreement ? percent(state.agreement.value) : "–",
    state.agreement ? between(state.agreement) : `share with ${same} as ${facts?.reference ?? "the host"}`, apart > 0));
  if (!regression) {
    tiles.push(tile("Label flips", whole(apart), `of ${whole(state.compared ?? 0)} compared with ${facts?.reference ?? "the host"}`, apart > 0));
  }
  if (state.differing != null) tiles.push(tile("Other outputs", whole(state.differing), "differ in at least one byte"));
  if (state.failed) tiles.push(tile("Failed samples", whole(state.failed), "could not be answered", true));
  fill($("tiles"), ...tiles);
}

function ticks(low, high, most) {
  if (!(high > low)) return [low];
  const raw = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw * (1 - 1e-9));
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) found.push(k * step);
  return found;
}

// points: [x, y, low, high] each; low and high may be absent.
function plot(title, last, points, xText, yText, xName, from, to, close) {
  const box = el("figure", { class: "plot", role: "img", "aria-label": `${title}: ${last}` });
  box.append(el("figcaption", { "aria-hidden": "true" }, `${title} `, el("span", { class: "soft" }, last)));
  const svg = shape("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" });
  box.append(svg);
  const right = points.length ? points[points.length - 1][0] : 1;
  const left = points.length ? points[0][0] : 0;
  const x = (value) => 100 * (value - left) / ((right - left) || 1);
  const y = (value) => 100 - 100 * Math.min(1, Math.max(0, (value - from) / ((to - from) || 1)));
  svg.append(shape("path", { class: "frame", d: "M0 100H100" }));
  if (points.length < 2) {
    box.append(el("span", { class: "none" }, "nothing to draw yet"));
    return box;
  }
  for (const value of ticks(from, to, 5)) {
    svg.append(shape("path", { class: "frame", d: `M0 ${y(value).toFixed(2)}H100` }));
    box.append(placed(el("span", { class: "y" }, yText(value)), { top: `${y(value)}%` }));
  }
  const along = (list, index) => list.map((point) => `${x(point[0]).toFixed(2)} ${y(point[index]).toFixed(2)}`).join("L");
  if (points.every((point) => point[3] !== undefined)) {
    svg.append(shape("path", { class: "band", d: `M${along(points, 2)}L${along([...points].reverse(), 3)}Z` }));
  }
  if (close) svg.append(shape("path", { class: "under", d: `M${along(points, 1)}L100 100L0 100Z` }));
  svg.append(shape("path", { class: "curve", d: `M${along(points, 1)}` }));
  for (const value of ticks(left, right, 5)) {
    const kind = x(value) > 94 ? "x last" : "x";
    if (x(value) >= 0) box.append(placed(el("span", { class: kind }, xText(value)), { left: `${x(value)}%` }));
  }
  box.append(el("span", { class: "xname" }, xName));
  return box;
}

function sharePlot(title, history, at) {
  const known = history.filter((point) => point[at] !== null).map((point) => [point[1], point[at], point[at + 1], point[at + 2]]);
  // The first few are too uncertain to set the scale.
  const settled = known.slice(Math.floor(known.length / 4));
  let low = Math.min(...settled.map((point) => point[2]), 1);
  let high = Math.max(...settled.map((point) => point[3]), 0);
  if (!settled.length) [low, high] = [0, 1];
  const margin = Math.max((high - low) * 0.12, 0.0002);
  [low, high] = [Math.max(0, low - margin), Math.min(1, high + margin)];
  const digits = Math.max(0, Math.min(3, Math.ceil(-Math.log10((high - low) * 100 / 5))));
  const last = known.length ? percent(known[known.length - 1][1]) : "";
  return plot(title, last, known, short, (value) => `${(100 * value).toFixed(digits)} %`, "samples answered", low, high, false);
}

function ratePlot(history) {
  const rates = [];
  for (let k = 1; k < history.length; k += 1) {
    const seconds = history[k][0] - history[k - 1][0];
    const done = history[k][1] - history[k - 1][1];
    if (seconds > 0 && done > 0) rates.push([history[k][0], done / seconds]);
  }
  const most = Math.max(...rates.map((point) => point[1]), 1);
  const last = rates.length ? figure(rates[rates.length - 1][1]) : "";
  return plot("Samples per second", last, rates, (value) => `${short(value)} s`, short, "time", 0, most * 1.08, true);
}

function drawCurves(history, facts) {
  const plots = [];
  if (facts?.task !== "regression" && facts?.labelled) plots.push(sharePlot("Top-1", history, 2));
  plots.push(sharePlot("Agreement", history, 5), ratePlot(history));
  fill($("curves"), ...plots);
}

function drawBoards(boards) {
  const all = boards.reduce((sum, board) => sum + board.answered, 0);
  fill($("boards"), ...boards.map((board) => {
    const [word, kind] = STATES[board.state] ?? [board.state, ""];
    const part = all ? board.answered / all : 0;
    const bar = placed(el("i"), { width: `${100 * part}%` });
    return el("tr", {},
      el("th", { scope: "row" }, board.name, board.chip ? el("span", { class: "soft small" }, ` ${board.chip}`) : null),
      el("td", {}, el("span", { class: `chip ${kind}` }, word)),
      el("td", { class: "n" }, whole(board.answered)),
      el("td", {}, el("div", { class: "share" }, el("div", { class: "track" }, bar), el("span", { class: "hidden" }, percent(part, 0)))),
      el("td", { class: "n" }, whole(board.held)),
      el("td", { class: "n" }, board.lease_s === null ? "–" : `${board.lease_s} s`),
      el("td", { class: "n" }, whole(board.restarts)));
  }));
}

function answer(sample, flip) {
  const verdict = sample.label === null ? null : sample.board === sample.label;
  const label = sample.label === null ? "" : `, label ${sample.label}`;
  const host = sample.host === null ? "" : `, host ${sample.host}`;
  const mark = verdict === null || flip ? null : el("span", { class: verdict ? "right" : "wrong" }, sign(verdict ? "passed" : "failed"));
  const words = [el("b", {}, flip ? `host ${sample.host} → board ${sample.board}` : sample.board, mark)];
  if (sample.label !== null) words.push(el("span", {}, `label ${sample.label}`), el("br"));
  if (!flip && sample.host !== null && sample.host !== sample.board) words.push(el("span", { class: "wrong" }, `host ${sample.host}`), el("br"));
  words.push(el("span", { class: "id" }, `#${sample.id}`));
  const image = sample.picture ? el("img", { src: sample.picture, alt: `sample ${sample.id}: board ${sample.board}${label}${host}` }) : null;
  return el("li", {}, image, el("div", {}, ...words));
}

// What did not change keeps its element, so that pictures do not flicker.
const kept = new Map();

function drawAnswers(id, samples, kind) {
  const box = $(id);
  const plain = samples.length && !samples[0].picture ? " plain" : "";
  const list = samples.map((sample) => {
    const key = `${id} ${JSON.stringify(sample)}`;
    const item = kept.get(key) ?? answer(sample, kind === "flips");
    kept.set(key, item);
    return item;
  });
  if (box.firstElementChild?.tagName !== "UL") box.replaceChildren(el("ul"));
  box.firstElementChild.className = `answers ${kind}${plain}`;
  const shown = box.firstElementChild;
  list.forEach((item, place) => {
    if (shown.children[place] !== item) shown.insertBefore(item, shown.children[place] ?? null);
  });
  while (shown.children.length > list.length) shown.lastElementChild.remove();
  for (const [key, item] of kept) if (!item.isConnected) kept.delete(key);
}

function nothing(id, text) {
  fill($(id), el("p", { class: "nothing" }, sign("passed"), el("span", {}, text)));
}

function drawFlips(flips, state, facts) {
  $("flips-part").hidden = facts?.task === "regression";
  const many = flips.count > flips.shown.length ? `, the newest ${flips.shown.length} of ${whole(flips.count)}` : "";
  say("flips-note", `Samples for which board and ${facts?.reference ?? "host"} give different labels${many}.`);
  if (flips.count) drawAnswers("flips", flips.shown, "flips");
  // They follow the figures.
  else if (state.agreement && state.agreement.part < state.agreement.whole) fill($("flips"));
  else nothing("flips", state.compared ? `None among the ${whole(state.compared)} that were compared.` : "None: nothing was compared yet.");
}

function drawRecent(recent, state) {
  if (recent.length) drawAnswers("recent", recent, "recent");
  else fill($("recent"), el("p", { class: "soft" }, state.done && state.done === state.resumed ? "None in this session." : "None yet."));
}

function drawEvents(notes) {
  const events = notes?.events ?? [];
  $("events-part").hidden = !events.length;
  fill($("events"), ...events.map((event) => {
    const at = new Date(1000 * event.at);
    return el("li", {}, el("time", { datetime: at.toISOString() }, at.toLocaleTimeString("en-GB")),
      el("b", {}, `${event.board}: ${event.kind}`), el("p", {}, event.text));
  }));
}

function drawFacts(facts, state) {
  const hash = (text) => (text ? el("code", {}, text.slice(0, 16)) : "–");
  const group = (name, rows) => el("div", {}, el("h3", {}, name),
    el("dl", {}, ...rows.flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, value ?? "–")])));
  fill($("facts"),
    group("Model", [["name", facts.model], ["task", facts.task], ["SHA-256", hash(facts.model_sha256)]]),
    group("Board", [["name", facts.board], ["chip", facts.chip || "not known yet"], ["engine", facts.engine], ["link", facts.link],
      ["clock", facts.clock || "not known yet"], ["firmware", hash(facts.firmware_sha256)]]),
    group("Data and reference", [["data set", facts.dataset], ["samples", whole(state.total)], ["labels", facts.labelled ? "yes" : "none"],
      ["compared with", facts.reference], ["by", facts.compared]]));
}

function draw() {
  scheduled = false;
  const run = chosen();
  // What another run left on the page is not this one's, also if nothing of this one has changed.
  const all = dirty.has("session") || run !== drawn;
  const changed = (...names) => all || names.some((name) => dirty.has(`${run}/${name}`));
  const session = sections.get("session");
  const [facts, notes] = ["facts", "notes"].map((name) => section(run, name));
  const state = stateOf(run);
  if (session) say("session", session.title);
  drawRuns(run);
  $("main").hidden = !state;
  if (state) {
    drawTop(run, state, facts, notes);
    drawTiles(state, facts);
    if (changed("history", "facts")) drawCurves(section(run, "history") ?? [], facts);
    if (changed("boards")) drawBoards(section(run, "boards") ?? []);
    if (changed("flips", "state", "facts")) drawFlips(section(run, "flips") ?? { count: 0, shown: [] }, state, facts);
    if (changed("recent", "state")) drawRecent(section(run, "recent") ?? [], state);
    if (changed("notes")) drawEvents(notes);
    if (facts && changed("facts", "state")) drawFacts(facts, state);
  }
  drawn = run;
  dirty.clear();
}

function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(draw);
}

function redraw() {
  dirty.add("session");
  schedule();
}

function take(event, fresh) {
  if (fresh) sections.clear();
  for (const [name, content] of Object.entries(JSON.parse(event.data))) {
    sections.set(name, content);
    dirty.add(name);
  }
  if (fresh) dirty.add("session");
  line("live", "live");
  schedule();
  // A page that nobody sees is given no frames, but its tab is seen.
  const run = chosen();
  if (document.hidden && stateOf(run)) drawTab(stateOf(run), section(run, "facts"));
}

function line(kind, text) {
  $("line").className = `line ${kind}`;
  say("line-text", text);
}

function connect() {
  source?.close();
  source = new EventSource("events");
  heard();
  source.addEventListener("state", (event) => take(event, true));
  source.addEventListener("change", (event) => take(event, false));
  for (const kind of ["state", "change", "still"]) source.addEventListener(kind, heard);
  source.addEventListener("over", () => {
    clearTimeout(attempt);
    source.close();
    const end = sections.get("session")?.end ?? "over";
    line("", `session over: ${end}`);
  });
  source.addEventListener("error", () => {
    lose();
    // The browser tries again by itself, but not after a refusal.
    if (source.readyState === EventSource.CLOSED) retry(RETRY_MS);
  });
}

// A computer that slept, or has another network now, is not told that its connection has gone: it hears nothing any more.
function heard() {
  const quiet = sections.get("session")?.quiet_s ?? 10;
  retry(1000 * SILENT_PERIODS * quiet);
}

function retry(after) {
  clearTimeout(attempt);
  attempt = setTimeout(() => {
    lose();
    connect();
  }, after);
}

const lose = () => line("lost", "connection lost, trying again");

addEventListener("hashchange", redraw);
connect();
