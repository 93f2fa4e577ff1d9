// The frame around every view: pages, space, language, theme, who is signed in, and a strip
// that says when the server does not answer.

import { onTrouble, tryNow } from "./connection.js";
import { fill, h, icon, isolated } from "./dom.js";
import { dateTime, number } from "./format.js";
import { announce, keepSpace, keptSpace, spaces } from "./page.js";
import { address } from "./parts/links.js";
import { details } from "./parts/problem.js";
import { go, here } from "./router.js";
import { isDev, whoami } from "./session.js";
import { changeLang, lang, t } from "./words.js";

const PAGES = [
  ["", "dashboard"],
  ["conflicts", "conflicts"],
  ["records", "records"],
  ["trace", "trace"],
  ["policy", "policy"],
  ["device", "device"],
];
const BELONGS = { conflict: "conflicts", record: "records" };
const ALL = "";

let actions = {};
let known = [];
let menuOpen = false;

/** `actions`: `signOut()`, `redraw()`. Draw again after a change of language or person. */
export function startChrome(given) {
  actions = given;
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menuOpen) toggleMenu(false, true);
  });
  onTrouble(showTrouble);
}

export function drawChrome() {
  const top = document.getElementById("top");
  const me = whoami();
  const skip = document.querySelector("a.skip");
  skip.textContent = t("skip_link");
  fill(
    top,
    h(
      "div",
      { class: "masthead" },
      h("a", { class: "brand", href: address("") }, brandMark(), h("span", {}, t("product"))),
      me && h("span", { class: "where", id: "where" }),
      me && menuButton(),
    ),
    me
      ? h("div", { class: "panel", id: "panel" }, spacePicker(), nav(), tools(me))
      : h("div", { class: "panel signed-out", id: "panel" }, h("div", { class: "tools" }, langButton(), themePicker())),
    h("div", { id: "trouble" }),
  );
  toggleMenu(menuOpen && Boolean(me));
  markPlace();
  if (me) refreshSpaces();
}

function brandMark() {
  return h("img", { src: "/app/static/icon.svg", alt: "", width: 28, height: 28 });
}

function menuButton() {
  return h(
    "button",
    {
      type: "button",
      class: "menu-button",
      id: "menu-button",
      "aria-controls": "panel",
      "aria-expanded": "false",
      on: { click: () => toggleMenu(!menuOpen) },
    },
    icon("menu"),
    t("menu"),
  );
}

function toggleMenu(open, focusButton = false) {
  menuOpen = open;
  const button = document.getElementById("menu-button");
  document.getElementById("panel")?.classList.toggle("open", open);
  button?.setAttribute("aria-expanded", String(open));
  if (focusButton) button?.focus();
}

function nav() {
  return h(
    "nav",
    { "aria-label": t("nav_label") },
    h(
      "ul",
      {},
      PAGES.map(([view, name]) =>
        h(
          "li",
          {},
          h(
            "a",
            { href: address(view), "data-view": view },
            icon(name),
            h("span", {}, t(`nav_${name}`)),
            name === "conflicts" && h("span", { class: "count", id: "conflict-count" }),
          ),
        ),
      ),
    ),
  );
}

function spacePicker() {
  const picker = h(
    "select",
    { id: "space", on: { change: (event) => chooseSpace(event.target.value) } },
  );
  return h("div", { class: "space-picker" }, h("label", { for: "space" }, t("space")), picker);
}

function chooseSpace(name) {
  const { view } = here();
  if (name !== ALL) keepSpace(name);
  if (view === "policy") markPlace();
  else go(address(BELONGS[view] ?? view, { space: name === ALL ? null : name }), { focus: false });
}

/** The choice of spaces: the dashboard can also show all of them at once. */
function fillPicker() {
  const picker = document.getElementById("space");
  if (!picker) return;
  const { view, params } = here();
  const chosen = params.get("space") ?? (view === "" ? ALL : keptSpace());
  const names = known.map((one) => one.name);
  if (chosen && !names.includes(chosen)) names.push(chosen);
  fill(
    picker,
    view === "" && h("option", { value: ALL }, t("all_spaces")),
    names.map((name) => h("option", { value: name }, name)),
  );
  picker.value = chosen ?? "";
  const where = document.getElementById("where");
  if (where) fill(where, view === "policy" ? "" : isolated(chosen || (view === "" ? t("all_spaces") : "")));
  const count = document.getElementById("conflict-count");
  const open = known
    .filter((one) => !params.get("space") || one.name === params.get("space"))
    .reduce((sum, one) => sum + one.open_conflicts, 0);
  if (count) fill(count, open > 0 && [number(open), h("span", { class: "unseen" }, ` ${t("nav_open")}`)]);
}

/** Ask for the spaces anew; views call it when the number of conflicts may have changed. */
export async function refreshSpaces() {
  try {
    known = await spaces({ signal: undefined }, { fresh: true });
  } catch {
    return;  // the view asks for the same, and tells
  }
  fillPicker();
}

function tools(me) {
  const until = me.expires_us ? t("signed_in_until", { time: dateTime(me.expires_us) }) : "";
  return h(
    "div",
    { class: "tools" },
    h(
      "div",
      { class: "me" },
      icon("person"),
      h(
        "div",
        {},
        h("p", { class: "name" }, isolated(me.user)),
        h("p", { class: "soft small" }, isDev() ? t("dev_server") : me.roles.join(", ")),
        until && h("p", { class: "soft small" }, until),
      ),
    ),
    h("button", { type: "button", class: "quiet", id: "sign-out", on: { click: actions.signOut } }, t("sign_out")),
    langButton(),
    themePicker(),
  );
}

function langButton() {
  const other = lang() === "ko" ? "en" : "ko";
  return h(
    "button",
    {
      type: "button",
      class: "quiet",
      id: "lang",
      lang: other,
      on: {
        click: async () => {
          await changeLang(other);
          const url = new URL(location.href);
          url.searchParams.delete("lang");
          history.replaceState(null, "", `${url.pathname}${url.search}`);
          actions.redraw();
          document.getElementById("lang")?.focus();
        },
      },
    },
    other === "ko" ? "한국어" : "English",
  );
}

function themePicker() {
  const chosen = document.documentElement.dataset.theme ?? "auto";
  const picker = h(
    "select",
    { id: "theme", on: { change: (event) => changeTheme(event.target.value) } },
    ["auto", "light", "dark"].map((one) => h("option", { value: one }, t(`theme_${one}`))),
  );
  picker.value = chosen;
  return h("div", { class: "theme" }, h("label", { for: "theme", class: "unseen" }, t("theme")), picker);
}

function changeTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("crdtsync.theme", theme);
  } catch {
    // Without storage the choice holds until the page is closed.
  }
  document.dispatchEvent(new CustomEvent("crdtsync-theme"));
}

/** Show where we are, after every change of the address. */
export function markPlace() {
  const { view } = here();
  const at = BELONGS[view] ?? view;
  for (const link of document.querySelectorAll("#panel nav a")) {
    if (link.dataset.view === at) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  fillPicker();
  if (menuOpen) toggleMenu(false);
}

document.addEventListener("crdtsync-space", fillPicker);

// ── the server does not answer ──────────────────────────────────────────────────────────────

let ticker = null;
let said = null;

function showTrouble(trouble) {
  const strip = document.getElementById("trouble");
  if (!strip) return;
  clearInterval(ticker);
  if (!trouble) {
    fill(strip);
    if (said) announce(t("connected_again"));
    said = null;
    return;
  }
  const { problem, atMs } = trouble;
  const left = h("span", { "aria-hidden": "true" });
  // The seconds tick for the eye only; a screen reader hears once what is wrong.
  const tick = () => {
    const seconds = Math.max(0, Math.ceil((atMs - Date.now()) / 1000));
    left.textContent = seconds > 0 ? t("trying_in", { n: seconds }) : t("trying_now");
  };
  tick();
  ticker = setInterval(tick, 1000);
  const open = strip.querySelector("details")?.open;
  const focused = strip.contains(document.activeElement) && document.activeElement.tagName;
  fill(
    strip,
    h(
      "div",
      { class: "notice warn" },
      icon(problem.status === 0 ? "away" : "clock"),
      h(
        "div",
        {},
        h("p", {}, problem.words, " ", left, " ", h("button", { type: "button", class: "small", on: { click: tryNow } }, t("try_now"))),
        problem.status !== 0 && details(problem),
      ),
    ),
  );
  if (open && strip.querySelector("details")) strip.querySelector("details").open = true;
  if (focused) strip.querySelector(focused.toLowerCase())?.focus();
  if (said !== problem.words) announce(`${problem.words} ${t("trying_again_by_itself")}`);
  said = problem.words;
}
