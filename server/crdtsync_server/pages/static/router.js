// Addresses → views. A link inside of the pages changes the view without loading anything anew.

import { fill, h } from "./dom.js";
import { OtherPerson } from "./api.js";
import { problemBox } from "./parts/problem.js";
import { t } from "./words.js";

const PREFIX = "/app/";
const views = new Map();
let current = null;
let settled = () => {};

/** `load`: () => import(...) of a module whose `view(ctx)` fills the page. */
export function route(name, load) {
  views.set(name, load);
}

/** Call after every change of the address, before the view is made. */
export function onArrival(listener) {
  settled = listener;
}

export function startRouter() {
  addEventListener("popstate", () => arrive({ moved: true, scroll: false }));
  document.addEventListener("click", follow);
}

function follow(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const url = new URL(link.href);
  if (url.origin !== location.origin || !url.pathname.startsWith(PREFIX)) return;
  if (link.target || link.download || url.pathname.startsWith(`${PREFIX}static/`)) return;
  event.preventDefault();
  if (link.classList.contains("skip")) {
    document.getElementById("main").focus();
    return;
  }
  go(`${url.pathname}${url.search}`);
}

/** Go to an address; `replace` leaves no step behind for the Back button. */
export function go(address, { replace = false, focus = true } = {}) {
  if (replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  return arrive({ moved: focus, scroll: !replace });
}

export function here() {
  const view = location.pathname.startsWith(PREFIX) ? location.pathname.slice(PREFIX.length) : "";
  return { view: view.replace(/\/$/, ""), params: new URLSearchParams(location.search) };
}

/** Make the view of the address that stands in the browser's bar. */
export async function arrive({ moved = false, scroll = false } = {}) {
  current?.abort();
  const stop = new AbortController();
  current = stop;
  const { view, params } = here();
  const main = document.getElementById("main");
  const ctx = { view, params, main, signal: stop.signal, moved };
  settled(ctx);
  if (scroll) scrollTo(0, 0);
  try {
    const load = views.get(view) ?? views.get("*");
    const module = await load();
    if (stop.signal.aborted) return;
    await module.view(ctx);
  } catch (error) {
    if (stop.signal.aborted || error?.name === "AbortError") return;
    if (error instanceof OtherPerson) {
      arrive({ moved: true });
      return;
    }
    if (error?.status === undefined) console.error(error);
    showProblem(ctx, error);
  }
}

/** The view's problem below its heading; Try again makes the view anew. */
export function showProblem(ctx, error) {
  const body = ctx.body?.isConnected ? ctx.body : null;
  const box = problemBox(error, { again: () => arrive() });
  if (body) {
    body.removeAttribute("aria-busy");
    fill(body, box);
  } else {
    fill(ctx.main, h("h1", { tabindex: -1 }, t("problem_heading")), box);
  }
}
