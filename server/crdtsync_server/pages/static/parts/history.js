// What a field held before: every value, who wrote it, when, and what became of it.

import { get } from "../api.js";
import { h, icon, isolated } from "../dom.js";
import { timeElement } from "../format.js";
import { t } from "../words.js";
import { traceLink, whoWords } from "./links.js";
import { valueElement } from "./value.js";

const MAX_ENTRIES = 2_000;

/**
 * The history as far as it is on the screen: the newest page anew, and what was loaded behind
 * it. `older`: one page more. Fates change, so entries are never taken from before as they are.
 */
export async function loadHistory(path, before, signal, older = false) {
  const wanted = before ? before.entries.length + (older ? 1 : 0) : 1;
  const found = { entries: [], complete: true, next: null };
  do {
    const page = await get(`${path}/history`, { before: found.next }, { signal });
    found.entries.push(...page.entries);
    found.complete = page.complete;
    found.next = page.next;
  } while (found.next && found.entries.length < Math.min(wanted, MAX_ENTRIES));
  return found;
}

/** `restore(entry, past)`; `older()` loads what lies further back. */
export function fieldHistory({ state, field, type, restore, older }) {
  const { history, now } = state;
  const entries = history.entries
    .map((entry) => ({ entry, past: entry.fields.find((one) => one.name === field.name) }))
    .filter(({ past }) => past);
  return h(
    "div",
    { class: "history" },
    entries.length === 0
      ? h("p", { class: "soft" }, t(history.next ? "history_none_yet" : "history_none"))
      : h("ol", { class: "timeline" }, entries.map(({ entry, past }) => item({ state, field, type, restore, entry, past, now }))),
    history.next && h("p", {}, h("button", { type: "button", on: { click: older } }, t("history_older"))),
    !history.next && !history.complete && h("p", { class: "soft small" }, t("history_cut")),
  );
}

function item({ state, field, type, restore, entry, past, now }) {
  const stands = past.fate === "stands";
  return h(
    "li",
    { "data-key": `${entry.seq}` },
    icon(stands ? "good" : "clock"),
    h(
      "div",
      {},
      h("div", { class: "past" }, pastValue(past, field, type)),
      h("p", { class: "small" }, h("span", { class: ["mark", stands ? "good" : "soft"] }, past.fate_words)),
      h("p", { class: "soft small" }, isolated(whoWords(entry.user, entry.device)), " · ", timeElement(entry.time_us), " · ", traceLink(entry.op_id, state.space, t("see_trace"))),
      canRestore(past, field, now) &&
        h("p", {}, h("button", { type: "button", class: "small", on: { click: () => restore(entry, past) } }, icon("restore"), t("restore_value"))),
    ),
  );
}

function pastValue(past, field, type) {
  const removed = past.removed > 0 && h("p", { class: "small" }, t("history_removed", { n: past.removed }));
  if (past.values !== undefined) {
    return [past.values.length > 0 && valueElement(past.values, type), removed];
  }
  if (past.value === undefined) return removed || h("span", { class: "soft" }, t("history_not_kept"));
  if (field.merge === "counter") {
    const plus = Number(past.value) >= 0 ? "+" : "";
    return [isolated(`${plus}${past.value}`), removed];
  }
  return [valueElement(past.value, type), removed];
}

function canRestore(past, field, now) {
  if (!field.writable || now.deleted || past.fate === "stands" || field.merge === "counter") return false;
  return past.values ? past.values.length > 0 : past.value !== undefined;
}
