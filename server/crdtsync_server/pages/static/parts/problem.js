// A problem in words, what to do, and what a helper needs under Details.

import { h, icon } from "../dom.js";
import { dateTime } from "../format.js";
import { traceLink } from "./links.js";
import { t } from "../words.js";

/** A box for `problem`; `again` adds a button that tries once more. */
export function problemBox(problem, { again } = {}) {
  const told = problem.status === undefined ? unexpected(problem) : problem;
  return h(
    "div",
    { class: "notice bad" },
    icon("bad"),
    h(
      "div",
      {},
      h("p", { class: "lead" }, told.words),
      adviceOf(told) && h("p", {}, adviceOf(told)),
      again && h("p", {}, h("button", { type: "button", on: { click: again } }, t("try_again"))),
      details(told),
    ),
  );
}

function unexpected(error) {
  return { status: null, words: t("problem_page"), code: error.name, body: {}, message: error.message };
}

function adviceOf(problem) {
  const key = `advice_${problem.status}`;
  const words = t(key);
  return words === key ? "" : words;
}

/** The request_id and what else a helper asks for, closed. */
export function details(problem, space = "") {
  const rows = [
    [t("detail_request"), problem.requestId && traceLink(problem.requestId, space)],
    [t("detail_code"), problem.code],
    [t("detail_status"), problem.status || null],
    [t("detail_time"), dateTime(Date.now() * 1000, true)],
    [t("detail_server_says"), problem.message],
  ].filter(([, value]) => value);
  return h(
    "details",
    { class: "small" },
    h("summary", {}, t("details")),
    h("dl", { class: "pairs" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
  );
}
