// Signing in by token: a page of its own at first, a dialog over what was open later.

import { Problem, trySignIn } from "../api.js";
import { fill, h, icon } from "../dom.js";
import { alarm, retitle } from "../page.js";
import { details } from "../parts/problem.js";
import { asToken, isDev, whoami } from "../session.js";
import { t } from "../words.js";

/** The whole page; `done()` once somebody has signed in. */
export function signInView(done) {
  const main = document.getElementById("main");
  const form = signInForm(done);
  fill(
    main,
    h(
      "div",
      { class: "sign-in" },
      h("h1", { tabindex: -1 }, t("sign_in_title")),
      h("p", { class: "intro" }, t(isDev() ? "sign_in_dev_intro" : "sign_in_intro")),
      form.element,
    ),
  );
  retitle(t("sign_in_title"));
  form.focus();
}

/**
 * What `api.js` calls on a 401: asks once for all requests that wait. Nothing of what was open is
 * lost, and nothing of it is seen: the dialog's backdrop covers it.
 */
export function signInDialog(leave) {
  let asking = null;
  return (problem) => {
    asking ??= new Promise((resolve, reject) => {
      if (whoami() === null) {
        // Nothing is open yet (a reload with a token that has ended): the page itself asks.
        signInView(() => resolve());
        alarm(t("signed_out_words"));
        return;
      }
      const dialog = h("dialog", { class: "solid", "aria-labelledby": "sign-in-again" });
      const before = document.activeElement;
      const close = () => {
        dialog.close();
        dialog.remove();
        before?.focus?.();
      };
      const form = signInForm(() => {
        close();
        resolve();
      });
      const stop = () => {
        close();
        reject(new DOMException("signed out", "AbortError"));
        leave();
      };
      fill(
        dialog,
        h("h2", { id: "sign-in-again", tabindex: -1 }, t("sign_in_again_title")),
        h("p", {}, t("sign_in_again_words")),
        form.element,
        h("p", {}, h("button", { type: "button", class: "quiet", on: { click: stop } }, t("sign_out"))),
        details(problem),
      );
      dialog.addEventListener("cancel", (event) => event.preventDefault());
      document.body.append(dialog);
      dialog.showModal();
      alarm(t("signed_out_words"));
      form.focus();
    }).finally(() => (asking = null));
    return asking;
  };
}

function signInForm(done) {
  const dev = isDev();
  const input = h("input", {
    id: "token",
    name: "token",
    type: dev ? "text" : "password",
    required: true,
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
    "aria-describedby": "token-hint token-problem",
  });
  const problemPlace = h("div", { id: "token-problem" });
  const button = h("button", { type: "submit", class: "primary" }, t("sign_in"));
  const submit = async (event) => {
    event.preventDefault();
    const token = asToken(input.value);
    if (token === null) return tell(t(input.value.trim() ? "token_not_ascii" : "token_missing"));
    button.disabled = true;
    try {
      await trySignIn(token);
      done();
    } catch (error) {
      button.disabled = false;
      if (!(error instanceof Problem)) throw error;
      tell(error.status === 401 ? t("token_refused") : error.words, error);
    }
    return undefined;
  };
  const tell = (words, problem) => {
    input.setAttribute("aria-invalid", "true");
    fill(
      problemPlace,
      h("p", { class: "error" }, icon("bad"), " ", words),
      problem && details(problem),
    );
    alarm(words);
    input.focus();
  };
  const element = h(
    "form",
    { class: "card", novalidate: true, on: { submit } },
    h(
      "div",
      { class: "field" },
      h("label", { for: "token" }, t(dev ? "name_label" : "token_label")),
      h("p", { class: "hint", id: "token-hint" }, t(dev ? "name_hint" : "token_hint")),
      input,
      !dev && showToggle(input),
      problemPlace,
    ),
    h("div", { class: "buttons" }, button),
  );
  return { element, focus: () => input.focus() };
}

function showToggle(input) {
  const box = h("input", {
    type: "checkbox",
    on: { change: () => (input.type = box.checked ? "text" : "password") },
  });
  return h("label", { class: "choice" }, box, t("token_show"));
}

