// Where the pages begin.

import { get, onSignedOut, Problem } from "./api.js";
import { untilNextTry } from "./connection.js";
import { drawChrome, markPlace, startChrome } from "./chrome.js";
import { forgetLoaded } from "./page.js";
import { arrive, onArrival, route, startRouter } from "./router.js";
import { currentToken, onSession, rememberMe, signOut } from "./session.js";
import { signInDialog, signInView } from "./views/sign_in.js";
import { lang, loadWords } from "./words.js";

route("", () => import("./views/dashboard.js"));
route("conflicts", () => import("./views/conflicts.js"));
route("conflict", () => import("./views/conflict.js"));
route("records", () => import("./views/records.js"));
route("record", () => import("./views/record.js"));
route("trace", () => import("./views/trace.js"));
route("policy", () => import("./views/policy.js"));
route("device", () => import("./views/device.js"));
route("*", () => import("./views/missing.js"));

async function start() {
  await wordsAtLast();
  rememberAskedLang();
  startChrome({ signOut: leave, redraw });
  onSession(personChanged);
  onSignedOut(signInDialog(leave));
  onArrival(markPlace);
  startRouter();
  if (currentToken() === null) return welcome();
  drawChrome();
  try {
    rememberMe(await get("/v1/me"));
  } catch (error) {
    // A 401 has asked for a new sign-in on its way here; anything else the view tells.
    if (!(error instanceof Problem)) console.warn(error);
  }
  if (currentToken() === null) return undefined;
  drawChrome();
  return arrive();
}

/** The form for signing in; the address stays, and so does the place it names. */
function welcome() {
  drawChrome();
  return signInView(() => {
    drawChrome();
    arrive({ moved: true });
  });
}

let person = null;

/** Somebody else signed in over an open view: it is theirs from now on, made anew. */
function personChanged(me) {
  forgetLoaded();
  const before = person;
  person = me?.user ?? null;
  if (before === null || person === null || before === person) return;
  drawChrome();
  arrive({ moved: true });
}

function leave() {
  signOut();
  welcome();
}

function redraw() {
  drawChrome();
  if (currentToken() === null) welcome();
  else arrive();
}

function rememberAskedLang() {
  if (!new URLSearchParams(location.search).has("lang")) return;
  try {
    localStorage.setItem("crdtsync.lang", lang());
  } catch {
    // Without storage the language holds for this address only.
  }
}

async function wordsAtLast() {
  for (;;) {
    try {
      return await loadWords();
    } catch (error) {
      await untilNextTry(new Problem(0, { detail: String(error) }));
    }
  }
}

start();
