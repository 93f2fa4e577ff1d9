// Values of records as people read them, by the type that the policy gives the field.

import { h, isolated } from "../dom.js";
import { dateTime, number } from "../format.js";
import { lang, t } from "../words.js";

const SHORT_CHARS = 80;

/** "list<set<string>>" → {kind: "list", item: {kind: "set", item: {kind: "string"}}} */
export function parseType(text) {
  const found = /^\s*(\w+)\s*(?:<(.*)>)?\s*$/s.exec(text ?? "");
  if (!found) return { kind: "json", item: null };
  return { kind: found[1], item: found[2] ? parseType(found[2]) : null };
}

export const holdsElements = (type) => type.kind === "set" || type.kind === "list";

/** A value as an element; long text wraps, lists are lists, nothing is left out. */
export function valueElement(value, type) {
  if (value === null || value === undefined) return h("span", { class: "soft" }, t("value_none"));
  if (holdsElements(type) && Array.isArray(value)) return elements(value, type.item);
  if (type.kind === "map" && typeof value === "object") return mapping(value, type.item);
  if (typeof value === "object") {
    return h("pre", { class: "json", tabindex: 0, dir: "ltr" }, JSON.stringify(value, null, 2));
  }
  if (value === "") return h("span", { class: "soft" }, t("value_empty_text"));
  return isolated(scalarText(value, type), { class: "value" });
}

function elements(values, item) {
  if (values.length === 0) return h("span", { class: "soft" }, t("value_empty_list"));
  return h(
    "ul",
    { class: "elements" },
    values.map((one) => h("li", {}, valueElement(one, item ?? { kind: "json" }))),
  );
}

function mapping(value, item) {
  const names = Object.keys(value);
  if (names.length === 0) return h("span", { class: "soft" }, t("value_empty_list"));
  return h(
    "dl",
    { class: "pairs" },
    names.map((name) => [
      h("dt", {}, isolated(name)),
      h("dd", {}, valueElement(value[name], item ?? { kind: "json" })),
    ]),
  );
}

function scalarText(value, type) {
  if (typeof value === "boolean") return t(value ? "value_yes" : "value_no");
  if (typeof value === "number") return number(value, { maximumFractionDigits: 20 });
  if (type.kind === "date") return dateText(String(value));
  if (type.kind === "datetime") {
    const ms = Date.parse(value);
    return Number.isNaN(ms) ? String(value) : dateTime(ms * 1000, true);
  }
  return String(value);
}

function dateText(value) {
  const ms = Date.parse(`${value}T00:00:00Z`);
  if (Number.isNaN(ms)) return value;
  return new Intl.DateTimeFormat(lang(), { dateStyle: "long", timeZone: "UTC" }).format(ms);
}

/** A value in one line of text, for sentences and labels. `full`: never shortened. */
export function valueText(value, type, full = false) {
  const text = plainText(value, type);
  return full ? text : shortText(text);
}

/** What people wrote, such as the name of a record, where it stands among other words. */
export function shortText(text) {
  return text.length <= SHORT_CHARS ? text : `${text.slice(0, SHORT_CHARS - 1)}…`;
}

function plainText(value, type) {
  if (value === null || value === undefined) return t("value_none");
  if (Array.isArray(value)) {
    if (value.length === 0) return t("value_empty_list");
    const item = type.item ?? { kind: "json" };
    return value.map((one) => plainText(one, item)).join(", ");
  }
  if (typeof value === "object") return JSON.stringify(value);
  if (value === "") return t("value_empty_text");
  return scalarText(value, type);
}

/** Equal texts for values that read alike; the order of a set does not matter. */
export function sameKey(value, type) {
  if (Array.isArray(value)) {
    const keys = value.map((one) => sameKey(one, type.item ?? { kind: "json" }));
    return JSON.stringify(type.kind === "set" ? keys.sort() : keys);
  }
  if (typeof value === "string") return JSON.stringify(value.normalize("NFC"));
  if (value !== null && typeof value === "object") {
    return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  return JSON.stringify(value ?? null);
}
