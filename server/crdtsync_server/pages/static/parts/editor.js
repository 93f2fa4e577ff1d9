// A form control for one value, by the type and the limits of the policy. Nothing is filled in
// beforehand. `read()` gives `{value}` or `{problem}` in words; the server has the last word.

import { fill, h, icon, isolated } from "../dom.js";
import { t } from "../words.js";
import { holdsElements, sameKey, valueElement } from "./value.js";

let made = 0;
const newId = (what) => `${what}-${(made += 1)}`;

/** `rules`: the field of `/v1/policy`, with its `type` parsed. `known`: elements to tick. */
export function editor(rules, known = []) {
  if (holdsElements(rules.type)) return elementsEditor(rules, known);
  return scalarEditor(rules, rules.type);
}

function scalarEditor(rules, type, label = rules.label) {
  const id = newId("value");
  const hint = rules.limits && rules.limits !== t("no_limits") ? h("p", { class: "hint", id: `${id}-hint` }, rules.limits) : null;
  const error = h("p", { class: "error", id: `${id}-error` });
  const described = [hint && `${id}-hint`, `${id}-error`].filter(Boolean).join(" ");
  const control = controlFor(rules, type, { id, "aria-describedby": described });
  const element = h(
    "div",
    { class: "field" },
    h(control.grouped ? "p" : "label", { for: control.grouped ? null : id, id: `${id}-label` }, label),
    hint,
    control.element,
    error,
  );
  if (control.grouped) control.element.setAttribute("aria-labelledby", `${id}-label`);
  const show = (problem) => {
    fill(error, problem && [icon("bad"), " ", problem]);
    (control.focusable ?? control.element).setAttribute("aria-invalid", problem ? "true" : "false");
  };
  return {
    element,
    focus: () => (control.focusable ?? control.element).focus(),
    clear: () => control.clear?.(),
    show,
    read() {
      const answer = checked(control.read(), rules, type);
      show(answer.problem ?? "");
      return answer;
    },
  };
}

function controlFor(rules, type, attributes) {
  if (rules.choices && type.item === null) return choice(rules, type, attributes);
  if (type.kind === "boolean") return yesOrNo(attributes);
  if (["json", "map", "list", "set"].includes(type.kind)) return jsonText(attributes);
  const kinds = {
    integer: { inputmode: "numeric" },
    number: { inputmode: "decimal" },
    decimal: { inputmode: "decimal" },
    date: { type: "date" },
    datetime: { type: "datetime-local", step: "1" },
  };
  const long = type.kind === "string" && (rules.max_length ?? 0) > 120;
  const control = h(long ? "textarea" : "input", {
    type: long ? null : "text",
    rows: long ? 4 : null,
    autocomplete: "off",
    dir: "auto",
    maxlength: type.kind === "string" ? rules.max_length : null,
    ...kinds[type.kind],
    ...attributes,
  });
  return { element: control, read: () => control.value, clear: () => (control.value = "") };
}

function choice(rules, type, attributes) {
  const control = h(
    "select",
    attributes,
    h("option", { value: "" }, t("choose_one")),
    rules.choices.map((one, place) => h("option", { value: String(place + 1) }, String(one))),
  );
  const read = () => (control.value ? String(rules.choices[Number(control.value) - 1]) : "");
  return { element: control, read, clear: () => (control.value = "") };
}

function yesOrNo(attributes) {
  const name = `${attributes.id}-choice`;
  const option = (value) =>
    h(
      "label",
      { class: "choice" },
      h("input", { type: "radio", name, value: String(value), "aria-describedby": attributes["aria-describedby"] }),
      t(value ? "value_yes" : "value_no"),
    );
  const element = h("div", { class: "choices", role: "radiogroup" }, option(true), option(false));
  return {
    element,
    grouped: true,
    focusable: element.querySelector("input"),
    read: () => element.querySelector("input:checked")?.value ?? "",
  };
}

function jsonText(attributes) {
  const control = h("textarea", { rows: 6, spellcheck: "false", dir: "ltr", ...attributes });
  return { element: control, read: () => control.value, clear: () => (control.value = "") };
}

// ── text of the control → value ─────────────────────────────────────────────────────────────

function checked(text, rules, type) {
  if (typeof text === "string" && text.trim() === "") return { problem: t("edit_missing") };
  const answer = readScalar(text, type);
  if (answer.problem) return answer;
  const { value } = answer;
  const size = Number(value);
  if (rules.min !== undefined && rules.min !== null && below(value, rules.min, type)) {
    return { problem: t("edit_below", { min: rules.min }) };
  }
  if (rules.max !== undefined && rules.max !== null && below(rules.max, value, type)) {
    return { problem: t("edit_above", { max: rules.max }) };
  }
  if (type.kind === "integer" && !Number.isSafeInteger(size)) {
    return { problem: t("edit_not_integer") };
  }
  return { value };
}

function below(a, b, type) {
  if (["date", "datetime"].includes(type.kind)) return Date.parse(a) < Date.parse(b);
  return Number(a) < Number(b);
}

function readScalar(text, type) {
  const trimmed = text.trim();
  switch (type.kind) {
    case "string":
      return { value: text.normalize("NFC") };
    case "integer":
      return /^[+-]?\d{1,16}$/.test(trimmed)
        ? { value: Number(trimmed) }
        : { problem: t("edit_not_integer") };
    case "number":
      return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed)
        ? { value: Number(trimmed) }
        : { problem: t("edit_not_number") };
    case "decimal":
      return /^[+-]?\d+(\.\d+)?$/.test(trimmed)
        ? { value: trimmed.replace(/^\+/, "") }
        : { problem: t("edit_not_number") };
    case "boolean":
      return { value: trimmed === "true" };
    case "date":
      return /^\d{4}-\d\d-\d\d$/.test(trimmed) ? { value: trimmed } : { problem: t("edit_not_date") };
    case "datetime": {
      const moment = new Date(trimmed);
      if (Number.isNaN(moment.getTime())) return { problem: t("edit_not_date") };
      return { value: moment.toISOString() };
    }
    default:
      try {
        return { value: JSON.parse(trimmed) };
      } catch {
        return { problem: t("edit_not_json") };
      }
  }
}

// ── lists and sets ──────────────────────────────────────────────────────────────────────────

function elementsEditor(rules, known) {
  const item = rules.type.item ?? { kind: "json", item: null };
  const chosen = new Map();
  const id = newId("elements");
  const error = h("p", { class: "error", id: `${id}-error` });
  const list = h("ul", { class: "ticks" });
  const said = h("p", { class: "unseen", role: "status" });
  const adder = scalarEditor(rules, item, t("edit_add_element"));
  for (const value of rules.choices ?? known) offer(value, false);

  function offer(value, ticked) {
    const key = sameKey(value, item);
    if (chosen.has(key)) {
      chosen.get(key).box.checked = true;
      return false;
    }
    const box = h("input", { type: "checkbox", "aria-describedby": `${id}-error` });
    box.checked = ticked;
    chosen.set(key, { box, value });
    list.append(h("li", {}, h("label", { class: "choice" }, box, valueElement(value, item))));
    return true;
  }
  function add() {
    const answer = adder.read();
    if (answer.problem) {
      adder.focus();
      return;
    }
    offer(answer.value, true);
    said.textContent = t("edit_added", { value: String(answer.value) });
    adder.clear();
    adder.focus();
    fill(error);
  }
  const element = h(
    "fieldset",
    { class: "field" },
    h("legend", {}, rules.label),
    list.children.length > 0 && h("p", { class: "hint" }, t("edit_tick_hint")),
    list,
    !rules.choices && h(
      "div",
      { class: "adder" },
      adder.element,
      h("button", { type: "button", on: { click: add } }, icon("add"), t("edit_add")),
    ),
    said,
    error,
  );
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches(".adder input")) {
      event.preventDefault();
      add();
    }
  });
  return {
    element,
    focus: () => (list.querySelector("input") ?? element.querySelector("input,textarea,select")).focus(),
    show: (problem) => fill(error, problem && [icon("bad"), " ", problem]),
    read() {
      const typed = element.querySelector(".adder input, .adder textarea");
      if (typed && typed.value.trim() !== "") {
        // What stands in the box and was not added yet would be lost without a word.
        const problem = t("edit_not_added", { value: typed.value.trim() });
        fill(error, icon("bad"), " ", isolated(problem));
        typed.focus();
        return { problem };
      }
      fill(error);
      return { value: [...chosen.values()].filter(({ box }) => box.checked).map(({ value }) => value) };
    },
  };
}
