// Addresses of the pages.

import { h, isolated } from "../dom.js";
import { t } from "../words.js";

export function address(view, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== null && value !== "") query.set(name, value);
  }
  const text = query.toString();
  return `/app/${view}${text ? `?${text}` : ""}`;
}

/** A link to everything that is known of a request, an op, a user or a record. */
export function traceLink(query, space, words = null) {
  return h(
    "a",
    { href: address("trace", { space, q: query }), class: words ? null : "id" },
    words ?? isolated(query),
  );
}

export function recordLink(space, collection, id, words = null) {
  return h("a", { href: address("record", { space, collection, id }) }, isolated(words ?? id));
}

export function conflictLink(space, { collection, record, field }, ...words) {
  return h("a", { href: address("conflict", { space, collection, record, field }) }, ...words);
}

/** "kim, tablet": a person and their device. */
export function whoWords(user, device) {
  return device ? t("who_on_device", { user, device }) : user;
}
