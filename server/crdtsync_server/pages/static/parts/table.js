// A table that becomes cards where there is little room; up to three columns always fit.

import { h } from "../dom.js";

/** `columns`: [{words, number}]; `rows`: lists of cells; the first cell heads its row. */
export function table(caption, columns, rows) {
  return h(
    "table",
    { class: columns.length > 3 ? "cards" : "few" },
    h("caption", { class: "unseen" }, caption),
    h("thead", {}, h("tr", {}, columns.map((one) => h("th", { scope: "col", class: one.number && "number" }, one.words)))),
    h(
      "tbody",
      {},
      rows.map((cells) =>
        h(
          "tr",
          {},
          cells.map((cell, place) =>
            place === 0
              ? h("th", { scope: "row" }, cell)
              : h("td", { class: columns[place].number && "number", "data-label": columns[place].words }, h("span", {}, cell)),
          ),
        ),
      ),
    ),
  );
}
