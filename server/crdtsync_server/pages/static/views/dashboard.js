// The dashboard: is all well, and may we go; then every figure with its formula and target.

import { get } from "../api.js";
import { h, icon, isolated, morph } from "../dom.js";
import { dateTime, number } from "../format.js";
import { keepFresh } from "../live.js";
import { alarm, announce, loaded, page, spaces } from "../page.js";
import { address } from "../parts/links.js";
import { go } from "../router.js";
import { lang, t } from "../words.js";
import * as panels from "./panels.js";

const WINDOWS = ["1h", "24h", "7d"];
const REFRESH_MS = 10_000;
const WINDOW_KEY = "crdtsync.window";

export async function view(ctx) {
  page(ctx, { title: t("dashboard_title"), wide: true });
  const state = { space: ctx.params.get("space"), window: windowOf(ctx), signal: ctx.signal, seen: null };
  await load(ctx, state);
  loaded(ctx, content(state));
  const here = state.space ? (await spaces(ctx)).find((one) => one.name === state.space) : null;
  keepFresh({
    space: here ? state.space : null,
    since: here?.head,
    everyMs: REFRESH_MS,
    signal: ctx.signal,
    refresh: async () => {
      const before = state.seen;
      await load(ctx, state);
      morph(ctx.body.firstChild, content(state));
      tellChange(before, state.seen);
    },
  });
}

/** Only a change of the verdict is spoken: numbers that move are for whoever asks. */
function tellChange(before, now) {
  if (before.healthy === now.healthy && before.go === now.go) return;
  if (now.healthy) announce(now.sentence);
  else alarm(now.sentence);
}

function windowOf(ctx) {
  const asked = ctx.params.get("window");
  if (WINDOWS.includes(asked)) return asked;
  try {
    const kept = sessionStorage.getItem(WINDOW_KEY);
    return WINDOWS.includes(kept) ? kept : "24h";
  } catch {
    return "24h";
  }
}

async function load(ctx, state) {
  state.seen = await get(
    "/v1/overview",
    { space: state.space, window: state.window, lang: lang() },
    { signal: ctx.signal },
  );
}

function content(state) {
  const { seen } = state;
  return h(
    "div",
    { class: "dashboard" },
    h("div", { class: "dash-head" }, windows(state), h("p", { class: "soft small" }, t("updated_at", { time: dateTime(seen.server_us, true) }))),
    verdict(seen),
    panels.measures(seen),
    panels.questions(seen),
    h(
      "div",
      { class: "panels" },
      panels.conflicts(state, seen),
      panels.failures(state, seen),
      panels.devices(state, seen),
      panels.latency(state, seen),
      panels.connections(state, seen),
      panels.refusals(state, seen),
      panels.trace(state, seen),
      panels.skew(state, seen),
      panels.storage(state, seen),
      panels.proof(state, seen),
    ),
  );
}

function windows(state) {
  const choose = (one) => {
    try {
      sessionStorage.setItem(WINDOW_KEY, one);
    } catch {
      // Without storage the window holds for this address.
    }
    go(address("", { space: state.space, window: one }), { focus: false });
  };
  return h(
    "fieldset",
    { class: "segments" },
    h("legend", { class: "unseen" }, t("window")),
    WINDOWS.map((one) =>
      h(
        "label",
        {},
        h("input", { type: "radio", name: "window", value: one, checked: one === state.window, on: { change: () => choose(one) } }),
        h("span", {}, t(`window_${one}`)),
      ),
    ),
  );
}

const reasons = (list) =>
  list.length > 0 && h("ul", { class: "reasons" }, list.map((one) => h("li", {}, panels.moodMark(one.mood), " ", isolated(one.words))));

/** What is as it should be is a click away: the eye is for the rest. */
function inOrder(list) {
  if (list.length === 0) return null;
  return h("details", {}, h("summary", {}, t("in_order", { n: number(list.length) })), reasons(list));
}

function verdict(seen) {
  const mood = !seen.healthy ? "bad" : seen.go ? "good" : "warn";
  return h(
    "section",
    { class: ["verdict", mood], "aria-labelledby": "verdict" },
    icon(seen.healthy ? "good" : "bad"),
    h(
      "div",
      {},
      h(
        "div",
        { class: "sentence" },
        h("h2", { id: "verdict" }, seen.sentence),
        h("span", { class: ["mark", seen.go ? "good" : mood] }, icon(seen.go ? "good" : "bad"), seen.verdict),
      ),
      reasons(seen.reasons.filter((one) => one.mood !== "good")),
      inOrder(seen.reasons.filter((one) => one.mood === "good")),
      !seen.recorded && h("p", { class: "soft" }, seen.recorded_words),
    ),
  );
}
