// A modal question. Focus goes in with its heading and comes back to where it was.

import { OtherPerson } from "../api.js";
import { h } from "../dom.js";

let made = 0;

/**
 * Show `content` under `title` until a button closes it; resolves with the button's value,
 * null for Escape. `buttons`: [{value, words, kind}]; a value may also be a function that
 * returns a promise: the dialog stays open until it gives something other than undefined.
 */
export function ask({ title, content, buttons, solid = false, closable = true, signal }) {
  const id = `dialog-${(made += 1)}`;
  const before = document.activeElement;
  return new Promise((resolve) => {
    const dialog = h(
      "dialog",
      { "aria-labelledby": id, class: solid ? "solid" : null },
      h("h2", { id, tabindex: -1 }, title),
      h("div", { class: "dialog-body" }, content),
      h(
        "div",
        { class: "buttons" },
        buttons.map((button) =>
          h(
            "button",
            {
              type: button.submits ? "submit" : "button",
              form: button.submits,
              class: button.kind,
              on: { click: () => !button.submits && press(button) },
            },
            button.words,
          ),
        ),
      ),
    );
    const close = (value) => {
      if (!dialog.isConnected) return;
      dialog.close();
      dialog.remove();
      signal?.removeEventListener("abort", abort);
      if (before?.isConnected) before.focus();
      resolve(value);
    };
    const abort = () => close(null);
    const press = async (button) => {
      if (typeof button.value !== "function") return close(button.value);
      try {
        const given = await button.value();
        if (given !== undefined) close(given);
      } catch (error) {
        // Another person signed in: what the first one had begun ends here.
        if (!(error instanceof OtherPerson)) throw error;
        close(null);
      }
    };
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      if (closable) close(null);
    });
    dialog.closeWith = close;
    signal?.addEventListener("abort", abort);
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector("[data-focus], h2").focus();
  });
}
