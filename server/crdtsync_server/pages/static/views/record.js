// One record: its fields as they stand, every value of a field in conflict, and its history.

import { get, Problem, segment, write } from "../api.js";
import { fill, h, icon, isolated, morph, unseen } from "../dom.js";
import { number, timeElement } from "../format.js";
import { keepFresh } from "../live.js";
import { alarm, announce, empty, loaded, page, policy, spaceOf } from "../page.js";
import { ask } from "../parts/dialog.js";
import { fieldHistory, loadHistory } from "../parts/history.js";
import { address, conflictLink, traceLink, whoWords } from "../parts/links.js";
import { problemBox } from "../parts/problem.js";
import { parseType, valueElement } from "../parts/value.js";
import { parts, t } from "../words.js";

const REFRESH_MS = 15_000;

export async function view(ctx) {
  const [collection, id] = ["collection", "id"].map((name) => ctx.params.get(name) ?? "");
  const space = await spaceOf(ctx);
  const rules = await policy(ctx);
  const kind = rules.collections.find((one) => one.name === collection);
  const back = h(
    "p",
    { class: "crumbs" },
    h("a", { href: address("records", { space, collection }) }, icon("back"), isolated(kind?.label ?? t("records_title"))),
  );
  page(ctx, { title: id, before: back });
  if (!kind) return loaded(ctx, empty(t("record_unknown")));
  const state = {
    space, collection, id, kind, now: null, history: null,
    path: `/v1/spaces/${segment(space)}/${segment(collection)}/${segment(id)}`,
    opened: new Set(), refresh: null,
  };
  await load(ctx, state);
  draw(ctx, state);
  state.refresh = async () => {
    await load(ctx, state);
    redraw(ctx, state);
  };
  keepFresh({ space, since: state.history.entries[0]?.seq, everyMs: REFRESH_MS, signal: ctx.signal, refresh: state.refresh });
  return undefined;
}

async function load(ctx, state) {
  const { signal } = ctx;
  const [now, history] = await Promise.all([get(state.path, {}, { signal }), loadHistory(state.path, state.history, signal)]);
  state.now = now;
  state.history = history;
}

const readable = (state) => state.kind.fields.filter((one) => one.readable);

function draw(ctx, state) {
  const name = nameOf(state);
  fill(ctx.heading, isolated(name));
  loaded(ctx, content(ctx, state));
}

function redraw(ctx, state) {
  morph(ctx.body.firstChild, content(ctx, state));
}

/** A name for people: its first text field, else its id. */
function nameOf(state) {
  const named = readable(state).find((one) => one.type === "string" && typeof state.now.fields[one.name] === "string" && state.now.fields[one.name]);
  return named ? state.now.fields[named.name] : state.id;
}

function content(ctx, state) {
  return h(
    "div",
    {},
    head(ctx, state),
    h("div", { class: "fields" }, readable(state).map((field) => fieldCard(ctx, state, field))),
  );
}

function head(ctx, state) {
  const { now } = state;
  return h(
    "div",
    { class: "facts" },
    now.deleted && deletedNotice(ctx, state),
    h("p", { class: "soft small" }, parts("record_id", { id: h("code", {}, isolated(state.id)) }), " · ", parts("changed_by", { user: isolated(now.updated_by), time: timeElement(now.updated_us) }), " · ", traceLink(`${state.collection}/${state.id}`, state.space, t("trace_of_record"))),
    Object.keys(now.conflicts).length > 0 &&
      h("div", { class: "notice warn" }, icon("conflicts"), h("p", {}, t("record_conflicts", { n: number(Object.keys(now.conflicts).length) }))),
  );
}

function deletedNotice(ctx, state) {
  return h(
    "div",
    { class: "notice" },
    icon("info"),
    h(
      "div",
      {},
      h("p", {}, t("record_deleted")),
      state.kind.deletable && h("p", {}, h("button", { type: "button", on: { click: () => bringBack(ctx, state) } }, icon("restore"), t("record_restore"))),
    ),
  );
}

function fieldCard(ctx, state, field) {
  const type = parseType(field.type);
  const candidates = state.now.conflicts[field.name];
  const id = `field-${field.name}`;
  return h(
    "section",
    { class: ["field-row", candidates && "warn"], "aria-labelledby": id, "data-key": field.name },
    h("h2", { id }, isolated(field.label)),
    candidates
      ? everyValue(state, field, type, candidates)
      : h("div", { class: "current" }, valueElement(state.now.fields[field.name], type)),
    history(ctx, state, field, type),
  );
}

function everyValue(state, field, type, candidates) {
  return h(
    "div",
    {},
    h("p", {}, h("span", { class: "mark warn" }, icon("conflicts"), t("conflict_values", { n: number(candidates.length) })), " ", t("conflict_until")),
    h(
      "ul",
      { class: "rows values" },
      candidates.map((one) =>
        h("li", {}, valueElement(one.value, type), h("p", { class: "soft small" }, isolated(whoWords(one.user, one.device)), " · ", timeElement(one.time_us))),
      ),
    ),
    h("p", {}, conflictLink(state.space, { collection: state.collection, record: state.id, field: field.name }, t("choose_between"), icon("next"))),
  );
}

function history(ctx, state, field, type) {
  return h(
    "details",
    {},
    h("summary", {}, t("history"), unseen(": ", field.label)),
    fieldHistory({
      state,
      field,
      type,
      restore: (entry, past) => restore(ctx, state, field, type, entry, past),
      older: async () => {
        state.history = await loadHistory(state.path, state.history, ctx.signal, true);
        redraw(ctx, state);
      },
    }),
  );
}

// ── ordinary writes ─────────────────────────────────────────────────────────────────────────

function restore(ctx, state, field, type, entry, past) {
  const isSet = past.values !== undefined;
  const value = isSet ? past.values : past.value;
  const body = isSet ? { add: { [field.name]: past.values } } : { fields: { [field.name]: value } };
  return confirmWrite(ctx, state, {
    method: "PATCH",
    path: state.path,
    body,
    title: t("restore_title", { field: field.label }),
    content: [
      h("p", {}, t(isSet ? "restore_words_set" : field.merge === "manual" ? "restore_words_manual" : "restore_words")),
      h("div", { class: "current" }, valueElement(value, type)),
    ],
    done: t("restored", { field: field.label }),
  });
}

function bringBack(ctx, state) {
  return confirmWrite(ctx, state, {
    method: "POST",
    path: `${state.path}/restore`,
    body: {},
    title: t("record_restore"),
    content: h("p", {}, t("record_restore_words")),
    done: t("record_restored"),
  });
}

/**
 * Ask, then write on the record as it stood when the question was asked: behind the dialog it is
 * read again all the time, and what came there meanwhile nobody has looked at.
 */
async function confirmWrite(ctx, state, { title, content: inside, method, path, body, done }) {
  const trouble = h("div", {});
  let version = state.now.version;
  const attempt = async () => {
    fill(trouble, h("p", { class: "soft" }, t("saving")));
    try {
      return await write(method, path, body, { signal: ctx.signal, headers: { "If-Match": `"${version}"` } });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const stale = error.status === 412;
      fill(trouble, problemBox(error), error.transient && h("p", {}, t("choice_not_sent")));
      alarm(stale ? t("problem_412") : error.words);
      if (stale) {
        await state.refresh();
        version = state.now.version;
      }
      return undefined;
    }
  };
  const written = await ask({
    title,
    content: [inside, trouble],
    buttons: [{ words: t("confirm_save"), kind: "primary", value: attempt }, { words: t("go_back"), value: null }],
    signal: ctx.signal,
  });
  if (!written) return;
  await state.refresh();
  announce(done);
}
