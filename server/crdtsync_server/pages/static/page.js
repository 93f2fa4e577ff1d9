// What every view begins with: its heading, focus, title, and room for what is loading.

import { fill, h } from "./dom.js";
import { get } from "./api.js";
import { address } from "./parts/links.js";
import { lang, t } from "./words.js";

const SPACE = "crdtsync.space";

/**
 * Heading and an empty body of a view. The heading takes the focus when a person came here by a
 * link, so that a screen reader says where it is and Tab goes on from there.
 */
export function page(ctx, { title, intro, before, wide = false }) {
  const heading = h("h1", { tabindex: -1 }, title);
  ctx.body = h("div", { class: "body", "aria-busy": "true" }, skeleton());
  ctx.heading = heading;
  fill(
    ctx.main,
    h("div", { class: ["view", wide && "wide"] }, before, heading, intro && h("p", { class: "intro" }, intro), ctx.body),
  );
  retitle(typeof title === "string" ? title : heading.textContent);
  if (ctx.moved) heading.focus({ preventScroll: true });
  return ctx.body;
}

export function retitle(title) {
  document.title = `${title} · ${t("product")}`;
}

/** The loaded content in place of the skeleton. */
export function loaded(ctx, ...children) {
  ctx.body.removeAttribute("aria-busy");
  return fill(ctx.body, ...children);
}

/** Grey bars of about the height that is coming: the page does not jump. */
export function skeleton(rows = 4) {
  return h(
    "div",
    { class: "skeleton" },
    h("p", { class: "unseen" }, t("loading")),
    Array.from({ length: rows }, () => h("div", { class: "bar", "aria-hidden": "true" })),
  );
}

/** Nothing to show, and what that means. */
export function empty(words, advice, ...more) {
  return h("div", { class: "empty" }, h("p", { class: "lead" }, words), advice && h("p", {}, advice), more);
}

/** Say something to screen readers; routine, so it waits for a pause. */
export function announce(words) {
  say("announce", words);
}

/** Say that a person has to act. */
export function alarm(words) {
  say("alarm", words);
}

function say(id, words) {
  const region = document.getElementById(id);
  region.textContent = "";
  // The same words again are only spoken when the region was empty for a moment.
  setTimeout(() => (region.textContent = words), 50);
}

// ── what several views need of the server ───────────────────────────────────────────────────

let spacesAsked = null;
const policies = new Map();

/** Forget what was loaded for the person before. */
export function forgetLoaded() {
  spacesAsked = null;
  policies.clear();
}

/** The spaces that the person may enter, with fresh numbers where `fresh`. */
export async function spaces(ctx, { fresh = false } = {}) {
  if (fresh || spacesAsked === null) spacesAsked = await loadSpaces(ctx);
  return spacesAsked;
}

async function loadSpaces(ctx) {
  const found = [];
  let after;
  do {
    const answer = await get("/v1/spaces", { after }, { signal: ctx.signal });
    found.push(...answer.spaces);
    after = answer.next;
  } while (after && found.length < 2_000);
  return found;
}

/** The policy in the page's language. */
export async function policy(ctx) {
  if (!policies.has(lang())) {
    policies.set(lang(), await get("/v1/policy", { lang: lang() }, { signal: ctx.signal }));
  }
  return policies.get(lang());
}

/** The space of the address, else the one that was looked at last, else the first one. */
export async function spaceOf(ctx) {
  const asked = ctx.params.get("space");
  if (asked) {
    keepSpace(asked);
    return asked;
  }
  const all = await spaces(ctx);
  const last = keptSpace();
  const chosen = all.find((one) => one.name === last) ?? all.find((one) => one.open_conflicts > 0) ?? all[0];
  if (!chosen) return null;
  ctx.params.set("space", chosen.name);
  history.replaceState(null, "", address(ctx.view, Object.fromEntries(ctx.params)));
  keepSpace(chosen.name);
  return chosen.name;
}

export function keptSpace() {
  try {
    return sessionStorage.getItem(SPACE);
  } catch {
    return null;
  }
}

export function keepSpace(name) {
  try {
    sessionStorage.setItem(SPACE, name);
  } catch {
    // Without storage each view starts with the first space.
  }
  document.dispatchEvent(new CustomEvent("crdtsync-space", { detail: name }));
}

/** What a person sees who may enter no space, or where none was written to yet. */
export function noSpace() {
  return empty(t("no_space"), t("no_space_advice"));
}
