// The panels of the dashboard. Each takes what /v1/overview said and gives a section.

import { h, icon, isolated } from "../dom.js";
import { ago, bytes, dateTime, duration, number, percent, timeElement } from "../format.js";
import { chart, seconds, shown } from "../parts/chart.js";
import { address, conflictLink, recordLink, traceLink, whoWords } from "../parts/links.js";
import { table } from "../parts/table.js";
import { t } from "../words.js";
import { searchForm } from "./trace.js";

const MOODS = { good: "good", bad: "bad", unknown: "unknown", yes: "good", no: "bad" };

export function moodMark(mood) {
  const known = MOODS[mood] ?? "unknown";
  return h("span", { class: ["mark", known === "unknown" ? "soft" : known] }, icon(known), t(`mood_${known}`));
}

/** `drawn`: charts, beside the rest where there is room. Panels with charts take a whole row. */
function panel(key, title, content, drawn = []) {
  const main = h("div", { class: "panel-main" }, content);
  return h(
    "section",
    { class: ["panel-card", (drawn.length > 0 || WIDE.has(key)) && "wide"], "aria-labelledby": `panel-${key}`, "data-key": `panel-${key}` },
    h(
      "details",
      { open: !matchMedia(SMALL).matches || FIRST.has(key) },
      h("summary", {}, h("h2", { id: `panel-${key}` }, title)),
      drawn.length > 0 ? h("div", { class: "panel-grid" }, main, h("div", { class: "panel-charts" }, drawn)) : main,
    ),
  );
}

const WIDE = new Set(["conflicts", "failures", "devices", "latency", "proof"]);

// On a phone the panels begin closed, but for what people come to look at first.
const SMALL = "(max-width: 44rem)";
const FIRST = new Set(["conflicts"]);

const note = (words) => words && h("p", { class: "soft small" }, words);
const count = (value) => (value === null || value === undefined ? "–" : number(value));

// Charts by name: the series of which unit they show, and how the keys of those begin.
const CHARTS = {
  ops: ["ops", ""],
  share: ["share", ""],
  retries: ["retries", ""],
  end_to_end: ["seconds", "end_to_end"],
  server: ["seconds", "server"],
  conflicts: ["conflicts", ""],
  connections: ["connections", ""],
};

function charts(state, seen, names) {
  const { at_us: atUs, series } = seen.charts;
  const drawn = names.map((name) => {
    const [unit, beginning] = CHARTS[name];
    const lines = series.filter((one) => one.unit === unit && one.key.startsWith(beginning));
    if (lines.every((one) => one.values.every((value) => value === null))) return null;
    return chart({ key: name, title: t(`chart_${name}`), atUs, series: lines, signal: state.signal });
  });
  return drawn.filter(Boolean);
}

// ── targets and questions ───────────────────────────────────────────────────────────────────

export function measures(seen) {
  return h(
    "section",
    { class: "measures", "aria-labelledby": "measures" },
    h("h2", { id: "measures" }, t("panel_measures")),
    h("div", { class: "tiles" }, seen.measures.map(measure)),
  );
}

function measure(one) {
  const mood = one.met === null ? "unknown" : one.met ? "good" : "bad";
  return h(
    "article",
    { class: ["tile", mood], "data-key": one.key },
    h("h3", {}, one.name),
    h("p", { class: "figure" }, one.value_words),
    h("p", { class: "small" }, h("span", { class: ["mark", mood === "unknown" ? "soft" : mood] }, icon(mood), t(`met_${mood}`)), " ", h("span", { class: "soft" }, one.target_words)),
    one.fraction_words && h("p", { class: "soft small" }, one.fraction_words),
    note(one.note),
    h("details", { class: "small" }, h("summary", {}, t("formula")), h("p", {}, one.formula)),
  );
}

export function questions(seen) {
  return h(
    "section",
    { class: "questions", "aria-labelledby": "questions" },
    h("h2", { id: "questions" }, t("panel_questions")),
    h(
      "div",
      { class: "answers" },
      seen.questions.map((one) =>
        h(
          "article",
          { class: "answer", "data-key": one.key },
          h("h3", {}, one.question),
          h("p", { class: "lead" }, answerMark(one), " ", one.answer_words),
          one.evidence.length > 0 && h("ul", { class: "small evidence" }, one.evidence.map((words) => h("li", {}, isolated(words)))),
        ),
      ),
    ),
  );
}

function answerMark(one) {
  const mood = MOODS[one.answer] ?? "unknown";
  return h("span", { class: ["mood", mood] }, icon(mood));
}

// ── conflicts ───────────────────────────────────────────────────────────────────────────────

export function conflicts(state, seen) {
  const all = seen.conflicts;
  const columns = [
    { words: t("field") },
    { words: t("conflict_status_open"), number: true },
    { words: t("oldest") },
    { words: t("opened_in_window"), number: true },
    { words: t("conflict_status_resolved"), number: true },
    { words: t("conflict_status_agreed"), number: true },
  ];
  const rows = all.fields.map((one) => [
    h("span", {}, isolated(one.collection_label), " · ", isolated(one.field_label)),
    number(one.open),
    one.oldest_us === null ? "–" : h("time", { title: dateTime(one.oldest_us) }, ago(one.oldest_us)),
    number(one.opened),
    number(one.resolved),
    number(one.agreed),
  ]);
  return panel(
    "conflicts",
    t("panel_conflicts"),
    [
      h("p", {}, all.words),
      all.oldest.length > 0 &&
        h(
          "ul",
          { class: "rows line" },
          all.oldest.slice(0, 5).map((one) =>
            h(
              "li",
              { "data-key": `c${one.id}` },
              h("p", {}, icon("conflicts"), conflictLink(one.space, one, isolated(one.record), " · ", isolated(one.field_label))),
              h("p", { class: "soft small" }, t("conflict_values", { n: number(one.candidates) }), " · ", timeElement(one.opened_us)),
            ),
          ),
        ),
      all.open > 0 && h("p", {}, h("a", { class: "button", href: address("conflicts", { space: state.space ?? all.oldest[0]?.space }) }, t("open_inbox"), icon("next"))),
      rows.length > 0 && table(t("panel_conflicts"), columns, rows),
      all.by.length > 0 && note(t("resolved_by_list", { people: all.by.map((one) => `${one.user} ${number(one.count)}`).join(", ") })),
    ],
    charts(state, seen, ["conflicts"]),
  );
}

// ── failures, refusals ──────────────────────────────────────────────────────────────────────

export function failures(state, seen) {
  const all = seen.failures;
  const columns = [
    { words: t("why") },
    { words: t("shown_to_people") },
    { words: t("attempts"), number: true },
    { words: t("share"), number: true },
    { words: t("examples") },
  ];
  const rows = all.reasons.map((one) => [
    h("span", {}, isolated(one.words), h("br"), h("span", { class: "soft small" }, t(one.needs_person ? "needs_person" : "retries_itself"))),
    isolated(one.message),
    number(one.count),
    percent(one.share),
    examples(one.examples),
  ]);
  return panel(
    "failures",
    t("panel_failures"),
    [
      all.recorded && h("p", {}, t("failures_words", { failed: count(all.failed), attempts: count(all.attempts), repeats: count(all.repeats) })),
      note(all.note),
      rows.length > 0 ? table(t("panel_failures"), columns, rows) : h("p", { class: "soft" }, t("failures_none")),
    ],
    charts(state, seen, ["share", "ops"]),
  );
}

function examples(list) {
  if (list.length === 0) return "–";
  return h(
    "ul",
    { class: "small ids" },
    list.slice(0, 3).map((one) => h("li", {}, traceLink(one.request_id || one.op_id, one.space, shortId(one.request_id || one.op_id)))),
  );
}

// A whole UUID breaks the table on a phone; its beginning is enough to tell links apart.
const shortId = (id) => h("code", { title: id }, `${id.slice(0, 8)}…`);

export function refusals(state, seen) {
  const all = seen.failures.refusals;
  const columns = [{ words: t("rule") }, { words: t("field") }, { words: t("times"), number: true }, { words: t("examples") }];
  const rows = all.map((one) => [
    isolated(one.words),
    h("span", {}, isolated(one.collection_label), one.field_label && [" · ", isolated(one.field_label)]),
    number(one.count),
    examples(one.examples),
  ]);
  return panel("refusals", t("panel_refusals"), rows.length > 0 ? table(t("panel_refusals"), columns, rows) : h("p", { class: "soft" }, t("refusals_none")));
}

// ── devices ─────────────────────────────────────────────────────────────────────────────────

const DEVICE_MOODS = { in_step: "good", waiting: "warn", needs_person: "bad", behind: "soft", away: "soft" };

export function devices(state, seen) {
  const all = seen.devices;
  const columns = [{ words: t("device") }, { words: t("device_state") }, { words: t("state_pending"), number: true }, { words: t("state_failed"), number: true }, { words: t("device_oldest") }];
  const rows = all.listed.slice(0, 20).map((one) => [
    h("span", {}, isolated(whoWords(one.user, one.device))),
    h("span", { class: ["mark", DEVICE_MOODS[one.state] ?? "soft"] }, icon(one.state === "in_step" ? "good" : one.state === "needs_person" ? "bad" : "clock"), isolated(one.words)),
    number(one.pending),
    number(one.failed),
    one.oldest_age_s === null ? "–" : duration(one.oldest_age_s),
  ]);
  return panel(
    "devices",
    t("panel_devices"),
    [
      h("p", {}, all.words),
      rows.length > 0 && table(t("panel_devices"), columns, rows),
      all.listed.length > 20 && note(t("and_more", { n: number(all.listed.length - 20) })),
    ],
    charts(state, seen, ["retries"]),
  );
}

// ── latency ─────────────────────────────────────────────────────────────────────────────────

export function latency(state, seen) {
  const percentiles = ["p50_s", "p95_s", "p99_s"];
  const columns = [{ words: t("latency_of") }, ...["p50", "p95", "p99"].map((words) => ({ words, number: true })), { words: t("cases"), number: true }];
  const rows = seen.latency.map((one) => [
    h("span", {}, one.name, one.note && h("span", { class: "soft small" }, h("br"), one.note)),
    ...percentiles.map((name) => (one[name] === null ? "–" : seconds(one[name]))),
    number(one.count),
  ]);
  return panel(
    "latency",
    t("panel_latency"),
    [
      table(t("panel_latency"), columns, rows),
      note(t("percentiles_words")),
      h("details", { class: "small" }, h("summary", {}, t("formulas")), h("dl", { class: "terms" }, seen.latency.map((one) => [h("dt", {}, one.name), h("dd", {}, one.formula)]))),
    ],
    charts(state, seen, ["end_to_end", "server"]),
  );
}

// ── connections, clocks, storage ────────────────────────────────────────────────────────────

export function connections(state, seen) {
  const all = seen.connections;
  const columns = [{ words: t("close_code") }, { words: t("meaning") }, { words: t("times"), number: true }];
  const rows = all.closes.map((one) => [h("span", {}, h("code", {}, String(one.code)), " ", one.name), one.words, number(one.count)]);
  return panel(
    "connections",
    t("panel_connections"),
    [
      h("p", {}, t("connections_words", { open: count(all.open), admitted: count(all.admitted) })),
      note(all.note),
      rows.length > 0 ? table(t("panel_connections"), columns, rows) : all.recorded && h("p", { class: "soft" }, t("closes_none")),
    ],
    charts(state, seen, ["connections"]),
  );
}

export function skew(state, seen) {
  const columns = [{ words: t("device") }, { words: t("clock") }, { words: t("difference"), number: true }];
  const rows = seen.skew.slice(0, 10).map((one) => [isolated(whoWords(one.user, one.device)), isolated(one.words), shown(Math.abs(one.skew_s), "seconds")]);
  return panel(
    "skew",
    t("panel_skew"),
    [
      rows.length > 0 ? table(t("panel_skew"), columns, rows) : h("p", { class: "soft" }, t("skew_none")),
      note(t("skew_words")),
    ],
  );
}

export function storage(state, seen) {
  const all = seen.storage;
  const files = all.files.map((one) => [h("code", {}, one.name), bytes(one.size_bytes)]);
  const rows = all.rows.map((one) => [one.name, number(one.rows)]);
  const largest = all.largest.map((one) => [recordLink(one.space, one.collection, one.record), bytes(one.size_bytes)]);
  const size = { words: t("size"), number: true };
  return panel(
    "storage",
    t("panel_storage"),
    [
      h("p", {}, all.words),
      files.length > 0 && table(t("storage_files"), [{ words: t("file") }, size], files),
      largest.length > 0 && [h("h3", {}, t("storage_largest")), table(t("storage_largest"), [{ words: t("record") }, size], largest)],
      rows.length > 0 && h("details", { class: "small" }, h("summary", {}, t("storage_rows")), table(t("storage_rows"), [{ words: t("table") }, { words: t("rows"), number: true }], rows)),
    ],
  );
}

export function trace(state, seen) {
  return panel("trace", t("panel_trace"), searchForm(state.space ?? seen.spaces[0] ?? ""));
}

// ── proof ───────────────────────────────────────────────────────────────────────────────────

export function proof(state, seen) {
  const { reconciliation: all, acceptance: run } = seen;
  const check = (one) => h("li", { "data-key": one.key }, moodMark(one.mood), " ", h("strong", {}, one.name), ": ", isolated(one.words));
  return panel(
    "proof",
    t("panel_proof"),
    [
      h("p", { class: "lead" }, moodMark(all.mood), " ", all.words),
      all.checks.length > 0 && h("ul", { class: "checks" }, all.checks.map(check)),
      all.findings.length > 0 &&
        h("ul", { class: "rows" }, all.findings.slice(0, 20).map((one) => h("li", {}, h("p", {}, icon("bad"), isolated(one.words)), one.op_ids.length > 0 && h("p", { class: "small" }, one.op_ids.slice(0, 5).map((id) => [traceLink(id, one.space, shortId(id)), " "]))))),
      h("h3", {}, t("acceptance_title")),
      h("p", {}, moodMark(run.mood), " ", run.words),
      run.scenarios.length > 0 && h("details", { class: "small" }, h("summary", {}, t("acceptance_scenarios")), h("ul", { class: "checks" }, run.scenarios.map(check))),
      note(run.at && t("acceptance_at", { time: Number.isNaN(Date.parse(run.at)) ? run.at : dateTime(Date.parse(run.at) * 1000) })),
    ],
  );
}
