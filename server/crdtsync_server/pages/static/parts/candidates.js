// The values of a field in conflict side by side: who, when, from which device, and what is
// identical, similar or different, in words and marks.

import { h, icon, isolated } from "../dom.js";
import { number, timeElement } from "../format.js";
import { parts, t } from "../words.js";
import { compare } from "./compare.js";
import { traceLink } from "./links.js";
import { valueElement, valueText } from "./value.js";

/** Cards for `state.candidates`; `choose(value)`, or null where the person may not choose. */
export function candidateCards(state, choose) {
  const { candidates, rules } = state;
  const compared = compare(candidates.map((one) => one.value), rules.type);
  const many = candidates.length;
  return [
    summary(compared, many),
    h(
      "ol",
      { class: ["candidates", `by-${compared.kind}`, many === 2 && "pair"] },
      candidates.map((one, place) => card(state, compared, one, place, choose)),
    ),
  ];
}

/** What a person who hears the page needs first. */
function summary(compared, many) {
  if (compared.kind === "elements") {
    const same = compared.sides[0].same.length;
    const similar = new Set(compared.sides.flatMap((side) => side.similar.map((one) => one.key))).size;
    const only = new Set(compared.sides.flatMap((side) => side.only.map((one) => one.key))).size;
    const words = [
      t(many === 2 ? "sum_same_both" : "sum_same_all", { n: number(same) }),
      similar > 0 && t("sum_similar", { n: number(similar) }),
      t("sum_only", { n: number(only) }),
      compared.reordered && t("sum_reordered"),
    ];
    return h("p", { class: "summary" }, words.filter(Boolean).join(" "));
  }
  if (compared.kind === "words") {
    return h("p", { class: "summary" }, t(compared.nothingShared ? "sum_nothing_shared" : "sum_marked"));
  }
  if (compared.kind === "ranks") {
    const key = compared.isDate ? "sum_days_apart" : "sum_apart";
    return h("p", { class: "summary" }, t(key, { n: number(compared.spread, { maximumFractionDigits: 12 }) }));
  }
  return null;
}

function card(state, compared, one, place, choose) {
  const { rules, candidates, fresh } = state;
  const heading = `candidate-${place}`;
  const isNew = (one.entries ?? [[one.op_id, one.n]]).some((entry) => fresh.has(entry.join("/")));
  return h(
    "li",
    { class: ["candidate", isNew && "new"] },
    h(
      "div",
      { class: "who" },
      h("h3", { id: heading }, parts("candidate_title", { n: number(place + 1), user: isolated(one.user) })),
      isNew && h("p", {}, h("span", { class: "mark warn" }, icon("info"), t("candidate_new"))),
      h("p", { class: "small" }, icon("device"), one.device ? isolated(one.device) : h("span", { class: "soft" }, t("device_unknown"))),
      h("p", { class: "small" }, icon("clock"), timeElement(one.time_us)),
    ),
    inside(compared, place, one, rules.type, candidates.length),
    h(
      "div",
      { class: "act" },
      choose &&
        h(
          "button",
          {
            type: "button",
            "aria-label": t("choose_this_label", { n: number(place + 1), user: one.user, value: valueText(one.value, rules.type) }),
            on: { click: () => choose(one.value) },
          },
          t("choose_this"),
        ),
      h(
        "details",
        { class: "small" },
        h("summary", {}, t("details")),
        h("p", {}, parts("written_and_received", { written: timeElement(one.time_us, { relative: false, exact: true }), received: timeElement(one.received_us, { relative: false, exact: true }) })),
        h("p", {}, traceLink(one.op_id, state.space, t("see_trace"))),
      ),
    ),
  );
}

// Every card has the same three groups, so that the browser lines them up across cards.
function inside(compared, place, one, type, many) {
  if (compared.kind === "elements" && one.value !== null) {
    const side = compared.sides[place];
    const item = type.item ?? { kind: "json" };
    return [
      group("same", t(many === 2 ? "group_same_both" : "group_same_all"), side.same, item, () => null),
      group("similar", t("group_similar"), side.similar, item, (found) =>
        t("mark_similar", { value: valueText(found.like, item) })),
      group("only", t(many === 2 ? "group_only_here" : "group_not_all"), side.only, item, (found) =>
        found.inCount === 1 ? t("mark_only_here") : t("mark_in_some", { n: number(found.inCount), all: number(many) })),
    ];
  }
  if (compared.kind === "words") return h("div", { class: "whole" }, markedText(compared.sides[place]), onlyHere(compared, place));
  const rank = compared.kind === "ranks" ? compared.sides[place] : null;
  return h("div", { class: "whole" }, h("div", { class: "current" }, valueElement(one.value, type)), rank && h("p", { class: "soft small" }, rankWords(rank, compared, many)));
}

function group(name, title, entries, item, markOf) {
  return h(
    "div",
    { class: ["group", name, entries.length === 0 && "none"] },
    h("h4", {}, t("group_count", { title, n: number(entries.length) })),
    entries.length === 0
      ? h("p", { class: "soft small" }, t("group_none"))
      : h("ul", {}, entries.map((one) => h("li", {}, valueElement(one.value, item), markOf(one) && h("span", { class: "differs" }, markOf(one))))),
  );
}

function markedText(pieces) {
  return h("p", { class: "current", dir: "auto" }, pieces.map((piece) => (piece.same ? piece.text : h("mark", {}, piece.text))));
}

function onlyHere(compared, place) {
  const differing = compared.sides[place].filter((piece) => !piece.same).map((piece) => piece.text.trim());
  if (compared.nothingShared) return null;
  return h(
    "p",
    { class: "soft small" },
    differing.length === 0 ? t("words_all_shared") : parts("words_only_here", { words: differing.map((text, i) => [i > 0 && ", ", h("q", {}, isolated(text))]) }),
  );
}

function rankWords(rank, compared, many) {
  const by = number(rank.by, { maximumFractionDigits: 12 });
  const kind = compared.isDate ? "date" : "number";
  if (rank.place === "between") return t(`rank_${kind}_between`);
  return t(`rank_${kind}_${rank.place}${many === 2 ? "_pair" : ""}`, { n: by });
}
