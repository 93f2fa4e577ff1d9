// Dates, numbers and sizes as the reader's language writes them.

import { h } from "./dom.js";
import { lang, t } from "./words.js";

const made = new Map();

function formatter(kind, options) {
  const key = JSON.stringify([lang(), kind, options]);
  if (!made.has(key)) made.set(key, new Intl[kind](lang(), options));
  return made.get(key);
}

export function number(value, options = {}) {
  return formatter("NumberFormat", options).format(value);
}

export function percent(share, digits = 1) {
  return number(share, { style: "percent", maximumFractionDigits: digits });
}

/** "1.2 MB" */
export function bytes(size) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  const step = Math.min(units.length - 1, size > 0 ? Math.floor(Math.log10(size) / 3) : 0);
  return number(size / 1000 ** step, {
    style: "unit",
    unit: units[step],
    unitDisplay: step === 0 ? "long" : "short",
    maximumFractionDigits: step === 0 ? 0 : 1,
  });
}

/** "Nov 23, 2026, 7:10 AM"; `exact` adds seconds. */
export function dateTime(us, exact = false) {
  const moment = new Date(us / 1000);
  if (Number.isNaN(moment.getTime())) return t("time_unknown");
  return formatter("DateTimeFormat", {
    dateStyle: "medium",
    timeStyle: exact ? "medium" : "short",
  }).format(moment);
}

/** "Nov 23, 2026" */
export function day(us) {
  const moment = new Date(us / 1000);
  if (Number.isNaN(moment.getTime())) return t("time_unknown");
  return formatter("DateTimeFormat", { dateStyle: "medium" }).format(moment);
}

/** "7:10:03.120 AM", for timelines where milliseconds matter. */
export function clockTime(us) {
  const moment = new Date(us / 1000);
  if (Number.isNaN(moment.getTime())) return t("time_unknown");
  return formatter("DateTimeFormat", {
    hour: "numeric",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
  }).format(moment);
}

const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];

/** "3 minutes ago" */
export function ago(us, nowUs = Date.now() * 1000) {
  const seconds = (us - nowUs) / 1e6;
  const [unit, length] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS[3];
  return formatter("RelativeTimeFormat", { numeric: "auto" }).format(
    Math.round(seconds / length),
    unit,
  );
}

/** "2 hours 5 minutes": the two largest units that are not zero. */
export function duration(seconds) {
  if (seconds < 1) {
    return unit(seconds === 0 ? 0 : Math.max(1, Math.round(seconds * 1000)), "millisecond", "short");
  }
  const found = [];
  let left = seconds;
  for (const [name, size] of UNITS) {
    const last = name === "second" || found.length === 1;
    const many = last ? Math.round(left / size) : Math.floor(left / size);
    if (many > 0) found.push(unit(many, name, "long"));
    left -= many * size;
    if (found.length === 2 || (last && found.length > 0 && many === 0)) break;
  }
  return found.join(" ");
}

function unit(value, name, display) {
  return number(value, { style: "unit", unit: name, unitDisplay: display });
}

/** A moment as an element: the date, and how long ago that is. */
export function timeElement(us, { relative = true, exact = false } = {}) {
  const moment = new Date(us / 1000);
  const iso = Number.isNaN(moment.getTime()) ? undefined : moment.toISOString();
  return h(
    "time",
    { datetime: iso, title: dateTime(us, true) },
    dateTime(us, exact),
    relative && h("span", { class: "soft" }, ` (${ago(us)})`),
  );
}
