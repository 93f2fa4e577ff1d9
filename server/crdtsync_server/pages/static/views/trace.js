// Everything that is known of a request, an op, a user or a record, on one timeline.

import { get, Problem } from "../api.js";
import { fill, h, icon, isolated } from "../dom.js";
import { clockTime, day, number } from "../format.js";
import { announce, empty, loaded, noSpace, page, policy, spaceOf } from "../page.js";
import { address, recordLink, traceLink, whoWords } from "../parts/links.js";
import { problemBox } from "../parts/problem.js";
import { go } from "../router.js";
import { has, lang, parts, t } from "../words.js";

export async function view(ctx) {
  page(ctx, { title: t("trace_title"), intro: t("trace_intro") });
  const space = await spaceOf(ctx);
  if (space === null) return loaded(ctx, noSpace());
  const q = ctx.params.get("q") ?? "";
  const results = h("div", { class: "results" });
  loaded(ctx, searchForm(space, q), results);
  if (!q) {
    fill(results, empty(t("trace_start"), t("trace_start_advice")));
    return undefined;
  }
  const rules = await policy(ctx);
  try {
    const answer = await get("/v1/trace", { space, q, after: ctx.params.get("after"), lang: lang() }, { signal: ctx.signal });
    fill(results, found(space, q, answer, rules));
    announce(t("trace_count", { n: number(answer.ops.length) }));
  } catch (error) {
    if (!(error instanceof Problem) || ![400, 404, 422].includes(error.status)) throw error;
    fill(results, problemBox(error));
  }
  return undefined;
}

export function searchForm(space, q = "") {
  const input = h("input", { id: "trace-q", type: "search", value: q, autocomplete: "off", autocapitalize: "none", spellcheck: "false", "aria-describedby": "trace-hint", dir: "auto" });
  const submit = (event) => {
    event.preventDefault();
    if (input.value.trim()) go(address("trace", { space, q: input.value.trim() }), { focus: false });
    else input.focus();
  };
  return h(
    "form",
    { class: "filters", role: "search", "aria-label": t("trace_title"), on: { submit } },
    h("div", { class: "grow" }, h("label", { for: "trace-q" }, t("trace_label")), h("p", { class: "hint", id: "trace-hint" }, t("trace_hint")), input),
    h("button", { type: "submit", class: "primary" }, t("search")),
  );
}

function found(space, q, answer, rules) {
  if (answer.ops.length === 0) return empty(t("trace_none"), t("trace_none_advice"));
  const kind = has(`trace_kind_${answer.kind}`) ? t(`trace_kind_${answer.kind}`) : answer.kind;
  return [
    h("h2", { class: "count-line" }, t("trace_found", { n: number(answer.ops.length), kind })),
    h("ol", { class: "ops" }, answer.ops.map((op, place) => opCard(space, op, rules, answer.ops.length < 4 || place === 0))),
    answer.next && h("p", {}, h("a", { class: "button", href: address("trace", { space, q, after: answer.next }) }, t("page_next"), icon("next"))),
  ];
}

const MOODS = { synced: "good", refused: "bad", held: "warn", transient: "warn", pending: "warn" };

function opCard(space, op, rules, open) {
  const mood = MOODS[op.status] ?? "soft";
  const kind = rules.collections.find((one) => one.name === op.collection);
  const labels = op.fields.map((name) => kind?.fields.find((one) => one.name === name)?.label ?? name);
  return h(
    "li",
    { class: "card op" },
    h(
      "div",
      { class: "row-head" },
      h("span", { class: ["mark", mood] }, icon(mood === "good" ? "good" : mood === "bad" ? "bad" : "clock"), op.status_words),
      h("h3", {}, isolated(kind?.label ?? op.collection), " · ", recordLink(space, op.collection, op.record), labels.length > 0 && [" · ", isolated(labels.join(", "))]),
    ),
    h("p", { class: "soft small" }, isolated(whoWords(op.user, op.device)), op.seq ? [" · ", t("trace_seq", { n: number(op.seq) })] : ""),
    h("p", { class: "soft small" }, "op_id ", traceLink(op.op_id, space)),
    timeline(op.space || space, op, open),
    op.notes.length > 0 && h("ul", { class: "small" }, op.notes.map((words) => h("li", {}, icon("info"), isolated(words)))),
    h("details", { class: "small" }, h("summary", {}, t("trace_raw")), h("pre", { class: "json", tabindex: 0, dir: "ltr" }, JSON.stringify(op, null, 2))),
  );
}

function timeline(space, op, open) {
  const steps = op.timeline;
  if (steps.length === 0) return h("p", { class: "soft" }, t("trace_no_steps"));
  let last = null;
  return h(
    "details",
    { open, class: "steps" },
    h("summary", {}, t("trace_steps", { n: number(steps.length) })),
    h(
      "ol",
      { class: "timeline" },
      steps.map((step) => {
        const date = day(step.at_us);
        const first = date !== last;
        last = date;
        return h(
          "li",
          {},
          icon(STEP_ICONS[step.what] ?? "info"),
          h(
            "div",
            {},
            h("p", {}, isolated(step.words)),
            h(
              "p",
              { class: "soft small" },
              h("time", { datetime: isoOf(step.at_us), class: "clock" }, first ? `${date} · ` : "", clockTime(step.at_us)),
              step.by && [" · ", isolated(step.by)],
              step.request_id && [" · ", parts("trace_request", { id: traceLink(step.request_id, space) })],
            ),
          ),
        );
      }),
    ),
  );
}

function isoOf(us) {
  const moment = new Date(us / 1000);
  return Number.isNaN(moment.getTime()) ? null : moment.toISOString();
}

const STEP_ICONS = {
  created: "person", queued: "device", sent: "next", lost: "bad", unheard: "bad", received: "next",
  decided: "policy", committed: "good", broadcast: "next", delivered: "device", duplicate: "good",
  refused: "bad", refused_field: "bad", held: "clock", transient: "clock", revived: "restore",
  conflict_opened: "conflicts", conflict_changed: "conflicts", conflict_reopened: "conflicts",
  conflict_resolved: "good", conflict_agreed: "good",
};
