// The policy as people sign it.

import { h, icon, isolated } from "../dom.js";
import { loaded, page, policy } from "../page.js";
import { t } from "../words.js";

export async function view(ctx) {
  page(ctx, { title: t("policy_title"), intro: t("policy_intro"), wide: true });
  const rules = await policy(ctx);
  const table = rules.signed_table;
  loaded(
    ctx,
    h(
      "div",
      { class: "facts" },
      h("p", { class: "lead" }, table.version),
      h("p", { class: "small" }, t("policy_hash"), " ", h("code", { class: "hash" }, table.file_hash)),
      h("p", { class: "soft small" }, t("policy_hash_words")),
      h("p", {}, h("button", { type: "button", class: "quiet", on: { click: () => print() } }, t("print"))),
    ),
    contents(table),
    table.collections.map((one, place) => collection(table, one, place)),
    section(table.once_title, h("p", {}, table.once)),
    section(table.states_title, terms(table.states)),
    section(table.targets_title, terms(table.targets)),
    h("details", {}, h("summary", {}, t("policy_file")), h("pre", { class: "json", tabindex: 0, dir: "ltr" }, rules.text)),
  );
}

function contents(table) {
  if (table.collections.length < 2) return null;
  return h(
    "p",
    { class: "tabs" },
    table.collections.map((one, place) => h("a", { href: `#collection-${place}`, on: { click: (event) => jump(event, place) } }, isolated(one.title))),
  );
}

function jump(event, place) {
  event.preventDefault();
  const heading = document.getElementById(`collection-${place}`);
  heading.scrollIntoView();
  heading.focus({ preventScroll: true });
}

function collection(table, one, place) {
  return h(
    "section",
    { class: "signed", "aria-labelledby": `collection-${place}` },
    h("h2", { id: `collection-${place}`, tabindex: -1 }, isolated(one.title), " ", h("code", { class: "soft" }, one.name)),
    h(
      "table",
      { class: "cards" },
      h("caption", { class: "unseen" }, t("policy_caption", { collection: one.title })),
      h("thead", {}, h("tr", {}, table.headings.map((words) => h("th", { scope: "col" }, words)))),
      h(
        "tbody",
        {},
        one.rows.map((row) =>
          h(
            "tr",
            {},
            Object.values(row).map((words, column) =>
              column === 0 ? h("th", { scope: "row" }, isolated(words)) : h("td", { "data-label": table.headings[column] }, h("span", {}, isolated(words))),
            ),
          ),
        ),
      ),
    ),
    h("ul", { class: "plain-rules" }, h("li", {}, icon("info"), one.delete_rule), h("li", {}, icon("person"), one.who_may_delete)),
  );
}

function section(title, ...content) {
  return h("section", { class: "signed" }, h("h2", {}, title), content);
}

function terms(list) {
  return h("dl", { class: "terms" }, list.map(({ name, text }) => [h("dt", {}, name), h("dd", {}, text)]));
}

