// What devices reported of themselves: their queue, what failed and why, what waits.

import { get } from "../api.js";
import { h, icon, isolated, morph } from "../dom.js";
import { duration, number, timeElement } from "../format.js";
import { keepFresh } from "../live.js";
import { empty, loaded, noSpace, page, policy, spaceOf } from "../page.js";
import { recordLink, traceLink } from "../parts/links.js";
import { whoami } from "../session.js";
import { parts, reasonWords, t } from "../words.js";

const REFRESH_MS = 10_000;
const PAGE = 100;
const WRONG_CLOCK_US = 60e6;

export async function view(ctx) {
  page(ctx, { title: t("device_title"), intro: t("device_intro") });
  const space = await spaceOf(ctx);
  if (space === null) return loaded(ctx, noSpace());
  const state = { space, rules: await policy(ctx), mine: [], all: [], more: false };
  await load(ctx, state);
  loaded(ctx, content(state));
  keepFresh({
    space: null,
    everyMs: REFRESH_MS,
    signal: ctx.signal,
    refresh: async () => {
      await load(ctx, state);
      morph(ctx.body.firstChild, content(state));
    },
  });
  return undefined;
}

async function load(ctx, state) {
  const ask = (mine) => get("/v1/devices", { space: state.space, limit: PAGE, mine: mine || null }, { signal: ctx.signal });
  const [mine, all] = await Promise.all([ask(true), ask(false)]);
  state.mine = mine.devices;
  state.all = all.devices;
  state.more = Boolean(all.next);
}

function content(state) {
  return h(
    "div",
    {},
    h(
      "section",
      { "aria-labelledby": "mine" },
      h("h2", { id: "mine" }, parts("device_mine", { user: whoami()?.user ?? "" })),
      state.mine.length === 0
        ? empty(t("device_none"), t("device_none_advice"))
        : h("div", { class: "devices" }, state.mine.map((one) => card(state, one))),
    ),
    h(
      "section",
      { "aria-labelledby": "every" },
      h("h2", { id: "every" }, t("device_all")),
      state.all.length === 0 ? h("p", { class: "soft" }, t("device_none_at_all")) : table(state),
      state.more && h("p", { class: "soft" }, t("device_more", { n: number(PAGE) })),
    ),
  );
}

const nameOf = (one) => one.device || t("device_unknown");

/** How the device stands, the most urgent first. */
function standing(one) {
  if (one.refused.length > 0) return ["bad", "bad", t("stand_refused", { n: number(one.refused.length) })];
  if (one.failed > 0) return ["bad", "bad", t("stand_failed", { n: number(one.failed) })];
  if (one.signed_out > 0) return ["warn", "person", t("stand_signed_out", { n: number(one.signed_out) })];
  if (one.pending > 0) return ["warn", "clock", t("stand_pending", { n: number(one.pending) })];
  if (one.cursor_seq < one.head_seq) return ["soft", "clock", t("stand_behind", { n: number(one.head_seq - one.cursor_seq) })];
  return ["good", "good", t("stand_synced")];
}

function standingMark(one) {
  const [mood, picture, words] = standing(one);
  return h("span", { class: ["mark", mood] }, icon(picture), words);
}

function card(state, one) {
  const id = `device-${one.replica_id}`;
  return h(
    "article",
    { class: "card device", "aria-labelledby": id, "data-key": one.replica_id },
    h("div", { class: "row-head" }, standingMark(one), h("h3", { id }, isolated(nameOf(one)))),
    h("p", { class: "small" }, one.connected ? [icon("good"), t("device_connected")] : [icon("away"), parts("device_seen", { time: timeElement(one.last_seen_us) })]),
    h(
      "dl",
      { class: "numbers" },
      pair(t("state_pending"), number(one.pending)),
      pair(t("state_failed"), number(one.failed)),
      one.signed_out > 0 && pair(t("device_signed_out"), number(one.signed_out)),
      one.oldest_age_ms > 0 && one.pending + one.failed > 0 && pair(t("device_oldest"), duration(oldestNow(one))),
      pair(t("device_has"), t("device_has_words", { cursor: number(one.cursor_seq), head: number(one.head_seq) })),
    ),
    reasons(one),
    clock(one),
    refused(state, one),
    h("details", { class: "small" }, h("summary", {}, t("details")), h("dl", { class: "pairs" }, h("dt", {}, "replica_id"), h("dd", {}, h("code", {}, one.replica_id)), h("dt", {}, t("device_software")), h("dd", {}, isolated(one.software)))),
  );
}

const pair = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

/** Seconds, now: it was `oldest_age_ms` when the device was last heard. */
function oldestNow(one) {
  const since = one.connected ? 0 : Math.max(0, Date.now() - one.last_seen_us / 1000);
  return (one.oldest_age_ms + since) / 1000;
}

function reasons(one) {
  const found = Object.entries(one.reasons);
  if (found.length === 0) return null;
  return h("div", {}, h("h4", {}, t("device_why")), h("ul", {}, found.map(([code, count]) => h("li", {}, t("device_reason", { n: number(count), reason: reasonWords(code) })))));
}

function clock(one) {
  if (one.skew_us === null || Math.abs(one.skew_us) < WRONG_CLOCK_US) return null;
  return h("div", { class: "notice warn" }, icon("clock"), h("p", {}, t("clock_wrong", { n: number(Math.round(Math.abs(one.skew_us) / 60e6)) })));
}

function refused(state, one) {
  if (one.refused.length === 0) return null;
  return h(
    "div",
    {},
    h("h4", {}, t("device_refused", { n: number(one.refused.length) })),
    h("p", { class: "hint" }, t("device_refused_advice")),
    h(
      "ul",
      { class: "rows" },
      one.refused.map((op) =>
        h(
          "li",
          { "data-key": op.op_id },
          h("p", {}, icon("bad"), isolated(sentence(state, op))),
          h("p", { class: "soft small" }, recordLink(state.space, op.collection, op.record), " · ", timeElement(op.at_us), " · ", traceLink(op.request_id || op.op_id, state.space, t("see_trace"))),
        ),
      ),
    ),
  );
}

function sentence(state, op) {
  const kind = state.rules.collections.find((one) => one.name === op.collection);
  const label = kind?.fields.find((one) => one.name === op.field)?.label ?? op.field ?? kind?.label ?? op.collection;
  return t("problem_refused_field", { field: label, reason: op.words || reasonWords(op.code) });
}

function table(state) {
  const columns = ["device", "device_user", "device_state", "device_last_seen", "device_waits", "device_has"];
  return h(
    "table",
    { class: "cards" },
    h("caption", { class: "unseen" }, t("device_all")),
    h("thead", {}, h("tr", {}, columns.map((one) => h("th", { scope: "col" }, t(one))))),
    h(
      "tbody",
      {},
      state.all.map((one) =>
        h(
          "tr",
          { "data-key": one.replica_id },
          h("th", { scope: "row" }, isolated(nameOf(one))),
          h("td", { "data-label": t("device_user") }, isolated(one.user)),
          h("td", { "data-label": t("device_state") }, standingMark(one)),
          h("td", { "data-label": t("device_last_seen") }, h("span", {}, one.connected ? t("device_connected") : timeElement(one.last_seen_us))),
          h("td", { "data-label": t("device_waits") }, h("span", {}, one.pending + one.failed > 0 && one.oldest_age_ms > 0 ? duration(oldestNow(one)) : "–")),
          h("td", { "data-label": t("device_has") }, h("span", {}, t("device_has_words", { cursor: number(one.cursor_seq), head: number(one.head_seq) }))),
        ),
      ),
    ),
  );
}
