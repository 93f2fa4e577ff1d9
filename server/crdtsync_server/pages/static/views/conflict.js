// One conflict: every value side by side, and the choice between them. Until somebody has chosen
// all values count; the choice is an ordinary op of the person who is signed in.

import { get, getOnce, Problem, segment, write } from "../api.js";
import { refreshSpaces } from "../chrome.js";
import { fill, h, icon, isolated } from "../dom.js";
import { number, timeElement } from "../format.js";
import { keepFresh } from "../live.js";
import { alarm, announce, empty, loaded, page, policy, spaceOf } from "../page.js";
import { candidateCards } from "../parts/candidates.js";
import { conflictEvents } from "../parts/conflict_events.js";
import { ask } from "../parts/dialog.js";
import { editor } from "../parts/editor.js";
import { address, conflictLink, recordLink, traceLink } from "../parts/links.js";
import { problemBox } from "../parts/problem.js";
import { holdsElements, parseType, sameKey, shortText, valueElement, valueText } from "../parts/value.js";
import { parts, t } from "../words.js";

const REFRESH_MS = 10_000;

export async function view(ctx) {
  const [collection, record, field] = ["collection", "record", "field"].map((name) => ctx.params.get(name) ?? "");
  const space = await spaceOf(ctx);
  const rules = await policy(ctx);
  const kind = rules.collections.find((one) => one.name === collection);
  const known = kind?.fields.find((one) => one.name === field);
  const label = known?.label ?? field;
  const back = h("p", { class: "crumbs" }, h("a", { href: address("conflicts", { space }) }, icon("back"), t("conflicts_title")));
  page(ctx, { title: t("conflict_title", { field: label }), before: back, wide: true });
  if (!known) return loaded(ctx, empty(t("conflict_unknown")));
  const state = {
    space, collection, record, field, label, rules: { ...known, type: parseType(known.type) },
    path: `/v1/spaces/${segment(space)}/${segment(collection)}/${segment(record)}`,
    record_now: null, candidates: [], drawn: [], life: null, fresh: new Set(), outcome: null, sending: null,
  };
  await load(ctx, state);
  draw(ctx, state);
  keepFresh({
    space,
    since: state.life?.events.at(-1)?.seq,
    everyMs: REFRESH_MS,
    signal: ctx.signal,
    refresh: () => look(ctx, state),
  });
  return undefined;
}

// ── what stands in the field ────────────────────────────────────────────────────────────────

async function load(ctx, state, { once = false } = {}) {
  const read = once ? getOnce : get;
  const { signal } = ctx;
  const [now, life] = await Promise.all([
    read(state.path, {}, { signal }),
    read("/v1/conflicts", {
      space: state.space, status: "all", collection: state.collection,
      record: state.record, limit: 100,
    }, { signal }),
  ]);
  state.record_now = now;
  state.candidates = now.conflicts[state.field] ?? [];
  // A field that was in conflict before may have more than one life; the last one counts.
  state.life = life.conflicts.findLast((one) => one.field === state.field) ?? null;
}

const seenOf = (candidates) => candidates.flatMap((one) => one.entries ?? [[one.op_id, one.n]]);
const idsOf = (candidates) => seenOf(candidates).map((one) => one.join("/")).sort();
const alike = (a, b) => JSON.stringify(idsOf(a)) === JSON.stringify(idsOf(b));

/** A refresh beside the person: what they look at changes only when they say so. */
async function look(ctx, state) {
  if (state.sending?.()) return;
  const shown = state.candidates;
  await load(ctx, state);
  const arrived = state.candidates;
  if (alike(shown, arrived)) return;
  if (state.sending?.()) {
    state.candidates = shown;
    return;
  }
  if (shown.length === 0) {
    draw(ctx, state);
    return;
  }
  state.candidates = shown;
  stop(ctx, state, arrived);
}

/** Somebody wrote or chose meanwhile: say so, and offer to look again. Nothing is chosen. */
function stop(ctx, state, arrived) {
  closeDialogs();
  const words = arrived.length === 0
    ? settledWords(state)
    : t("another_value_arrived", { field: state.label });
  const show = () => {
    const before = new Set(idsOf(state.candidates));
    state.fresh = new Set(seenOf(arrived).map((one) => one.join("/")).filter((id) => !before.has(id)));
    state.candidates = arrived;
    draw(ctx, state);
    ctx.heading.focus();
  };
  const place = ctx.body.querySelector("#stopped");
  if (!place) {
    show();
    return;
  }
  if (place.textContent === "") alarm(words);
  fill(
    place,
    h("div", { class: "notice warn" }, icon("bad"), h("div", {}, h("p", { class: "lead" }, words), h("p", {}, h("button", { type: "button", class: "primary", on: { click: show } }, t("show_values_again"))))),
  );
  for (const button of ctx.body.querySelectorAll(".choosing button, .candidate button")) button.disabled = true;
  place.querySelector("button").focus();
}

function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.closeWith?.(null);
}

function settledWords(state) {
  const last = lastChoice(state);
  if (!last) return t("conflict_gone");
  return t("chosen_by_other", {
    name: last.user,
    value: valueText(state.record_now.fields[state.field], state.rules.type),
    time: timeElement(last.at_us, { relative: false }).textContent,
  });
}

const lastChoice = (state) => state.life?.events.findLast((one) => one.kind === "resolved" || one.kind === "agreed");

// ── the page ────────────────────────────────────────────────────────────────────────────────

function draw(ctx, state) {
  // What is chosen replaces what stands on the screen, not what was read since.
  state.drawn = state.candidates;
  const open = state.candidates.length > 1;
  loaded(
    ctx,
    facts(state),
    h("div", { id: "stopped" }),
    state.outcome,
    open ? choosing(ctx, state) : settled(state),
    state.life && conflictEvents(state, state.life.events),
  );
}

function facts(state) {
  const deleted = state.record_now.deleted && h("p", {}, icon("info"), t("conflict_deleted_record"));
  return h(
    "div",
    { class: "facts" },
    h("p", {}, parts("conflict_of_record", { record: recordLink(state.space, state.collection, state.record, shortText(state.life?.record_label || state.record)) })),
    deleted,
  );
}

function settled(state) {
  const last = lastChoice(state);
  const value = state.record_now.fields[state.field];
  if (state.outcome) return null;
  return h(
    "section",
    { class: "card" },
    h("p", { class: "lead" }, icon("good"), last ? t("conflict_settled_now") : t("conflict_gone")),
    h("p", { class: "soft" }, t("value_now")),
    h("div", { class: "current" }, valueElement(value, state.rules.type)),
    last && h("p", { class: "small" }, parts("chosen_by", { user: isolated(last.user), time: timeElement(last.at_us) })),
  );
}

function choosing(ctx, state) {
  const { candidates, rules } = state;
  const lists = holdsElements(rules.type);
  const may = rules.writable;
  const another = h("div", { id: "another" });
  const open = (event) => {
    event.currentTarget.setAttribute("aria-expanded", "true");
    openEditor(ctx, state, another);
  };
  return h(
    "section",
    { class: "choosing", "aria-labelledby": "choosing-heading" },
    h("h2", { id: "choosing-heading" }, t("conflict_choose", { n: number(candidates.length), field: state.label })),
    h("p", { class: "intro" }, t(lists ? "conflict_until_list" : "conflict_until")),
    !may && h("div", { class: "notice" }, icon("info"), h("p", {}, t("conflict_may_not"))),
    candidateCards(state, may ? (value) => confirm(ctx, state, value) : null),
    may && h(
      "div",
      { class: "other-choices" },
      h("h3", {}, t("other_choices")),
      h(
        "div",
        { class: "buttons" },
        lists && h("button", { type: "button", id: "keep-all", on: { click: () => confirm(ctx, state, union(state)) } }, icon("add"), t("keep_all")),
        h("button", { type: "button", "aria-expanded": "false", "aria-controls": "another", on: { click: open } }, t("another_value")),
      ),
      lists && h("p", { class: "hint" }, t("keep_all_hint")),
      another,
    ),
  );
}

/** Every element of every value, each once, in the order in which they are shown. */
function union(state) {
  const item = state.rules.type.item ?? { kind: "json" };
  const found = new Map();
  for (const one of state.drawn.flatMap((candidate) => candidate.value ?? [])) {
    const key = sameKey(one, item);
    if (!found.has(key)) found.set(key, one);
  }
  return [...found.values()];
}

function openEditor(ctx, state, place) {
  const lists = holdsElements(state.rules.type);
  const control = editor(state.rules, lists ? union(state) : []);
  const submit = (event) => {
    event.preventDefault();
    const answer = control.read();
    if (answer.problem) {
      alarm(answer.problem);
      return;
    }
    confirm(ctx, state, answer.value, control);
  };
  fill(
    place,
    h("form", { class: "card", novalidate: true, on: { submit } }, control.element, h("div", { class: "buttons" }, h("button", { type: "submit", class: "primary" }, t("continue")))),
  );
  control.focus();
}

// ── choosing ────────────────────────────────────────────────────────────────────────────────

/** Look once more, ask once with the outcome in words, then write. */
async function confirm(ctx, state, value, control) {
  const place = ctx.body.querySelector("#stopped");
  fill(place);
  const seen = state.drawn;
  const trouble = h("div", { id: "choice-problem" });
  let inDoubt = false;
  let underWay = false;
  const send = async () => {
    underWay = true;
    fill(trouble, h("p", { class: "soft" }, t("saving")));
    try {
      return await choose(ctx, state, seen, value, inDoubt);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      fill(trouble, problemBox(error));
      inDoubt = inDoubt || error.transient;
      if (error.transient) fill(trouble, problemBox(error), h("p", {}, t("choice_not_sent")));
      else control?.show?.(error.words);
      alarm(error.words);
      return undefined;
    } finally {
      underWay = false;
    }
  };
  const sending = () => inDoubt || underWay;
  state.sending = sending;
  const done = await ask({
    title: t("confirm_title", { field: state.label }),
    content: [confirmation(state, seen, value), trouble],
    buttons: [
      { words: t("confirm_save"), kind: "primary", value: send },
      { words: t("go_back"), value: null },
    ],
    signal: ctx.signal,
  });
  underWay = Boolean(done);
  try {
    if (done) await finished(ctx, state, done, value);
  } finally {
    if (state.sending === sending) state.sending = null;
  }
}

function confirmation(state, seen, value) {
  const name = shortText(state.life?.record_label || state.record);
  return [
    h("p", {}, parts("confirm_words", { field: state.label, record: name })),
    h("div", { class: "current" }, valueElement(value, state.rules.type)),
    h("p", { class: "soft" }, t("confirm_replaces", { n: number(seen.length) })),
  ];
}

/**
 * `{stopped}` when another value arrived, else `{written}`. Throws Problem. `inDoubt`: this very
 * choice was sent without an answer, so the values may have gone because of it; it is sent again
 * as it was, which counts once, and leaves alone what was not seen.
 */
async function choose(ctx, state, seen, value, inDoubt) {
  if (!inDoubt) {
    await load(ctx, state, { once: true });
    const arrived = state.candidates;
    state.candidates = seen;
    if (!alike(seen, arrived)) return { stopped: arrived };
  }
  const body = { field: state.field, value, seen: seenOf(seen) };
  return { written: await write("POST", `${state.path}/resolve`, body, { signal: ctx.signal }) };
}

async function finished(ctx, state, { stopped, written }, value) {
  if (stopped) {
    stop(ctx, state, stopped);
    return;
  }
  await load(ctx, state);
  const now = state.candidates;
  refreshSpaces();
  const left = written.record.conflicts[state.field] ?? [];
  const words = t(left.length > 1 ? "chosen_but_open" : "chosen", { value: valueText(value, state.rules.type) });
  state.fresh = new Set();
  state.outcome = h(
    "div",
    { class: ["notice", left.length > 1 ? "warn" : "good"], id: "outcome", tabindex: -1 },
    icon(left.length > 1 ? "bad" : "good"),
    h(
      "div",
      {},
      h("p", { class: "lead" }, words),
      h("div", { class: "current" }, valueElement(value, state.rules.type)),
      h("p", { class: "small" }, written.receipt && parts("saved_at", { time: timeElement(written.receipt.received_us, { relative: false, exact: true }) }), " ", written.receipt && traceLink(written.receipt.op_id, state.space, t("see_trace"))),
      await nextOpen(ctx, state),
    ),
  );
  state.candidates = now;
  draw(ctx, state);
  if (left.length > 1) alarm(words);
  else announce(words);
  ctx.body.querySelector("#outcome").focus();
  state.outcome = null;
}

async function nextOpen(ctx, state) {
  const { conflicts } = await get("/v1/conflicts", { space: state.space, status: "open", limit: 2 }, { signal: ctx.signal });
  const next = conflicts.find((one) => one.record !== state.record || one.field !== state.field);
  return h(
    "p",
    {},
    next
      ? conflictLink(state.space, next, t("next_conflict"), ": ", isolated(shortText(next.record_label)), " · ", isolated(next.label))
      : h("a", { href: address("conflicts", { space: state.space }) }, t("no_more_conflicts")),
  );
}
