// The inbox: fields with several values between which a person has to choose, the oldest first.

import { get } from "../api.js";
import { refreshSpaces } from "../chrome.js";
import { fill, h, icon, isolated, morph } from "../dom.js";
import { number, timeElement } from "../format.js";
import { keepFresh } from "../live.js";
import { announce, empty, loaded, noSpace, page, policy, spaceOf, spaces } from "../page.js";
import { address, conflictLink } from "../parts/links.js";
import { parseType, shortText, valueText } from "../parts/value.js";
import { go } from "../router.js";
import { parts, t } from "../words.js";

const PAGE = 50;
const REFRESH_MS = 15_000;
const STATES = ["open", "resolved", "agreed", "all"];

export async function view(ctx) {
  page(ctx, { title: t("conflicts_title"), intro: t("conflicts_intro") });
  const space = await spaceOf(ctx);
  if (space === null) return loaded(ctx, noSpace());
  const status = STATES.includes(ctx.params.get("status")) ? ctx.params.get("status") : "open";
  const field = ctx.params.get("field") ?? "";
  const shown = { space, status, field, rules: await policy(ctx), conflicts: [], next: null };
  const here = (await spaces(ctx)).find((one) => one.name === space);
  await load(ctx, shown);
  loaded(ctx, h("div", {}, filters(shown), list(ctx, shown)));
  keepFresh({
    space,
    since: here?.head,
    everyMs: REFRESH_MS,
    signal: ctx.signal,
    refresh: async () => {
      const before = shown.conflicts.length;
      await load(ctx, shown);
      morph(ctx.body.firstChild, h("div", {}, filters(shown), list(ctx, shown)));
      if (status === "open" && shown.conflicts.length !== before) {
        announce(t("conflicts_now", { n: number(shown.conflicts.length) }));
        refreshSpaces();
      }
    },
  });
  return undefined;
}

/** The first pages, as many as are on the screen already. */
async function load(ctx, shown) {
  const wanted = Math.max(PAGE, shown.conflicts.length);
  const found = [];
  let after = null;
  do {
    const answer = await get(
      "/v1/conflicts",
      { space: shown.space, status: shown.status, limit: PAGE, after },
      { signal: ctx.signal },
    );
    found.push(...answer.conflicts);
    after = answer.next;
  } while (after && found.length < wanted);
  shown.conflicts = found;
  shown.next = after;
}

async function more(ctx, shown, place) {
  const answer = await get(
    "/v1/conflicts",
    { space: shown.space, status: shown.status, limit: PAGE, after: shown.next },
    { signal: ctx.signal },
  );
  const from = shown.conflicts.length;
  shown.conflicts.push(...answer.conflicts);
  shown.next = answer.next;
  fill(place, list(ctx, shown).childNodes.length ? [...list(ctx, shown).childNodes] : []);
  place.querySelectorAll("li.conflict a")[from]?.focus();
}

// ── filters ─────────────────────────────────────────────────────────────────────────────────

const fieldName = (one) => `${one.collection}/${one.field}`;

function filters(shown) {
  const fields = new Map();
  for (const one of shown.conflicts) {
    const known = fields.get(fieldName(one)) ?? { one, count: 0 };
    fields.set(fieldName(one), { one, count: known.count + 1 });
  }
  const to = (changes) =>
    go(address("conflicts", { space: shown.space, status: shown.status, field: shown.field, ...changes }), { focus: false });
  const byField = h(
    "select",
    { id: "conflict-field", on: { change: (event) => to({ field: event.target.value }) } },
    h("option", { value: "", selected: shown.field === "" }, t("all_fields")),
    [...fields].map(([name, { one, count }]) =>
      h("option", { value: name, selected: name === shown.field }, `${one.collection_label} · ${one.label} (${number(count)})`),
    ),
  );
  const byStatus = h(
    "select",
    { id: "conflict-status", on: { change: (event) => to({ status: event.target.value }) } },
    STATES.map((one) => h("option", { value: one, selected: one === shown.status }, t(`conflict_status_${one}`))),
  );
  return h(
    "div",
    { class: "filters" },
    h("div", {}, h("label", { for: "conflict-field" }, t("field")), byField),
    h("div", {}, h("label", { for: "conflict-status" }, t("conflict_status")), byStatus),
  );
}

// ── the list ────────────────────────────────────────────────────────────────────────────────

function list(ctx, shown) {
  const place = h("div", { class: "conflict-list" });
  const wanted = shown.conflicts.filter((one) => !shown.field || fieldName(one) === shown.field);
  if (wanted.length === 0) {
    const open = shown.status === "open";
    return fill(place, empty(t(open ? "conflicts_none" : "conflicts_none_such"), open ? t("conflicts_none_advice") : ""));
  }
  const count = t(shown.status === "open" ? "conflicts_count" : "conflicts_count_all", {
    n: number(wanted.length),
    more: shown.next ? "+" : "",
  });
  return fill(
    place,
    h("h2", { class: "count-line" }, count),
    h("ul", { class: "rows" }, wanted.map((one) => row(shown, one))),
    shown.next &&
      h("p", {}, h("button", { type: "button", on: { click: () => more(ctx, shown, place) } }, t("show_more"))),
  );
}

function row(shown, one) {
  const open = one.status === "open";
  const people = [...new Set(one.candidates.map((candidate) => candidate.user))];
  return h(
    "li",
    { class: ["conflict", one.status], "data-key": `c${one.id}` },
    h(
      "div",
      { class: "row-head" },
      statusMark(one),
      h("h3", {}, conflictLink(shown.space, one, isolated(shortText(one.record_label)), " · ", isolated(one.label))),
    ),
    h("ul", { class: "glance" }, one.candidates.slice(0, 4).map((candidate) => glance(shown, one, candidate)), one.candidates.length > 4 && h("li", { class: "soft" }, t("and_more", { n: number(one.candidates.length - 4) }))),
    h(
      "p",
      { class: "soft small" },
      isolated(one.collection_label),
      " · ",
      parts(open ? "conflict_opened" : "conflict_settled", { time: timeElement(open ? one.opened_us : one.changed_us) }),
      " · ",
      parts("conflict_by", { people: isolated(people.join(", ")) }),
      one.reopened > 0 && [" · ", t("conflict_reopened", { n: number(one.reopened) })],
    ),
  );
}

function glance(shown, one, candidate) {
  return h(
    "li",
    {},
    h("span", { class: "soft" }, isolated(candidate.user), ": "),
    isolated(valueText(candidate.value, typeOf(shown.rules, one))),
  );
}

export function typeOf(rules, { collection, field }) {
  const fields = rules.collections.find((one) => one.name === collection)?.fields ?? [];
  return parseType(fields.find((one) => one.name === field)?.type ?? "json");
}

function statusMark(one) {
  const open = one.status === "open";
  const words = open
    ? t("conflict_values", { n: number(one.candidates.length) })
    : t(`conflict_status_${one.status}`);
  return h("span", { class: ["mark", open ? "warn" : "good"] }, icon(open ? "conflicts" : "good"), words);
}
