// The records of a space: collections, a filter by one field, pages.

import { get, segment } from "../api.js";
import { h, icon, isolated } from "../dom.js";
import { number, timeElement } from "../format.js";
import { announce, empty, loaded, noSpace, page, policy, spaceOf, spaces } from "../page.js";
import { address, recordLink } from "../parts/links.js";
import { parseType, valueText } from "../parts/value.js";
import { go } from "../router.js";
import { t } from "../words.js";

const PAGE = 25;
const COLUMNS = 4;

export async function view(ctx) {
  page(ctx, { title: t("records_title"), intro: t("records_intro"), wide: true });
  const space = await spaceOf(ctx);
  if (space === null) return loaded(ctx, noSpace());
  const rules = await policy(ctx);
  const kinds = rules.collections.filter((one) => one.readable);
  const kind = kinds.find((one) => one.name === ctx.params.get("collection")) ?? kinds[0];
  if (!kind) return loaded(ctx, empty(t("records_no_collection")));
  const asked = readAsked(ctx, space, kind);
  const answer = await get(
    `/v1/spaces/${segment(space)}/${segment(kind.name)}`,
    queryOf(asked, kind),
    { signal: ctx.signal },
  );
  const all = await spaces(ctx);
  loaded(
    ctx,
    collections(asked, kinds, kind),
    search(asked, kind),
    answer.records.length === 0 ? nothing(asked, answer, all) : table(asked, kind, answer.records),
    pager(asked, answer),
  );
  if (asked.field || asked.after) announce(t("records_shown", { n: number(answer.records.length) }));
  return undefined;
}

// ── what is asked for stands in the address: Back and a bookmark lead to it ─────────────────

function readAsked(ctx, space, kind) {
  const params = ctx.params;
  return {
    space,
    collection: kind.name,
    field: params.get("field") ?? "",
    value: params.get("value") ?? "",
    only: params.get("only") ?? "",
    after: params.get("after") ?? "",
    page: Number(params.get("page")) || 1,
  };
}

function queryOf(asked, kind) {
  const query = { limit: PAGE, after: asked.after };
  if (asked.only === "conflicts") query.conflicts = true;
  if (asked.only === "deleted") query.deleted = true;
  if (asked.field && asked.value && kind.fields.some((one) => one.name === asked.field)) {
    query[`where.${asked.field}`] = asked.value;
  }
  return query;
}

const to = (asked, changes) => address("records", { ...asked, page: "", after: "", ...changes });

// ── filters ─────────────────────────────────────────────────────────────────────────────────

function collections(asked, kinds, kind) {
  if (kinds.length < 2) return null;
  return h(
    "nav",
    { class: "tabs", "aria-label": t("collections") },
    kinds.map((one) =>
      h(
        "a",
        { href: address("records", { space: asked.space, collection: one.name }), "aria-current": one === kind ? "true" : null },
        isolated(one.label),
      ),
    ),
  );
}

function search(asked, kind) {
  const field = h(
    "select",
    { id: "search-field" },
    kind.fields
      .filter((one) => one.readable)
      .map((one) => h("option", { value: one.name, selected: one.name === asked.field }, one.label)),
  );
  const value = h("input", { id: "search-value", type: "search", value: asked.value, dir: "auto", autocomplete: "off" });
  const only = h(
    "select",
    { id: "search-only" },
    ["", "conflicts", "deleted"].map((one) =>
      h("option", { value: one, selected: one === asked.only }, t(`records_only_${one || "all"}`)),
    ),
  );
  const submit = (event) => {
    event.preventDefault();
    const filter = value.value.trim() ? { field: field.value, value: value.value.trim() } : { field: "", value: "" };
    go(to(asked, { ...filter, only: only.value }), { focus: false });
  };
  return h(
    "form",
    { class: "filters", role: "search", "aria-label": t("search_records"), on: { submit } },
    h("div", {}, h("label", { for: "search-field" }, t("field")), field),
    h("div", {}, h("label", { for: "search-value" }, t("search_value")), value),
    h("div", {}, h("label", { for: "search-only" }, t("records_which")), only),
    h("button", { type: "submit", class: "primary" }, t("search")),
    (asked.value || asked.only) && h("a", { href: to(asked, { field: "", value: "", only: "" }) }, t("search_clear")),
  );
}

// ── the table ───────────────────────────────────────────────────────────────────────────────

function table(asked, kind, records) {
  const fields = kind.fields.filter((one) => one.readable).slice(0, COLUMNS);
  return h(
    "table",
    { class: "cards records" },
    h("caption", { class: "unseen" }, t("records_caption", { collection: kind.label })),
    h(
      "thead",
      {},
      h("tr", {}, h("th", { scope: "col" }, t("record")), fields.map((one) => h("th", { scope: "col" }, isolated(one.label))), h("th", { scope: "col" }, t("changed"))),
    ),
    h("tbody", {}, records.map((record) => row(asked, fields, record))),
  );
}

function row(asked, fields, record) {
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, recordLink(asked.space, record.collection, record.id), record.deleted && h("span", { class: "mark soft" }, t("deleted"))),
    fields.map((one) => h("td", { "data-label": one.label }, cell(record, one))),
    h("td", { "data-label": t("changed") }, h("span", {}, timeElement(record.updated_us, { relative: false }), h("span", { class: "soft small block" }, isolated(record.updated_by)))),
  );
}

function cell(record, field) {
  const candidates = record.conflicts[field.name];
  if (candidates) {
    return h("span", { class: "mark warn" }, icon("conflicts"), t("conflict_values", { n: number(candidates.length) }));
  }
  const value = record.fields[field.name];
  if (value === null || value === undefined) return h("span", { class: "soft" }, "–");
  return isolated(valueText(value, parseType(field.type)));
}

function nothing(asked, answer, all) {
  if (answer.next) return empty(t("records_none_yet"), t("records_none_yet_advice"));
  if (asked.value || asked.only) return empty(t("records_none_such"), t("records_none_such_advice"));
  const written = all.find((one) => one.name === asked.space)?.records ?? 0;
  return empty(t("records_none"), t(written > 0 ? "records_none_here" : "records_none_advice"));
}

function pager(asked, answer) {
  if (!asked.after && !answer.next) return null;
  return h(
    "nav",
    { class: "pager", "aria-label": t("pages") },
    asked.after
      ? h("button", { type: "button", on: { click: () => history.back() } }, icon("back"), t("page_before"))
      : h("span", {}),
    h("span", { class: "soft" }, t("page_number", { n: number(asked.page) })),
    answer.next
      ? h("a", { class: "button", href: to(asked, { after: answer.next, page: asked.page + 1 }) }, t("page_next"), icon("next"))
      : h("span", {}),
  );
}
