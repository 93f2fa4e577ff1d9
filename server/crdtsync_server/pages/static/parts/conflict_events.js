// The life of a conflict: opened, values that came and went, who chose what.

import { h, icon, isolated } from "../dom.js";
import { timeElement } from "../format.js";
import { parts, t } from "../words.js";
import { traceLink } from "./links.js";
import { valueElement } from "./value.js";

const ICONS = { opened: "conflicts", changed: "info", reopened: "conflicts", resolved: "good", agreed: "good" };

export function conflictEvents(state, events) {
  return h(
    "section",
    { class: "story", "aria-labelledby": "story-heading" },
    h("h2", { id: "story-heading" }, t("conflict_history")),
    h("ol", { class: "timeline" }, events.map((one) => event(state, one))),
  );
}

function event(state, one) {
  const key = `event_${one.kind}`;
  return h(
    "li",
    {},
    icon(ICONS[one.kind] ?? "info"),
    h(
      "div",
      {},
      h("p", {}, parts(key, { user: isolated(one.user), n: String(one.candidates.length) })),
      one.value !== undefined && h("div", { class: "past" }, valueElement(one.value, state.rules.type)),
      h("p", { class: "soft small" }, timeElement(one.at_us), " · ", traceLink(one.op_id, state.space, t("see_trace"))),
    ),
  );
}
