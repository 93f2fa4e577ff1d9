// Who is signed in here. The token lives in sessionStorage: closing the tab forgets it, and no
// other tab or site can read it.

const TOKEN = "crdtsync.token";
const listeners = new Set();
let token = read();
let me = null;

function read() {
  try {
    return sessionStorage.getItem(TOKEN);
  } catch {
    return null;
  }
}

export function currentToken() {
  return token;
}

/** What `/v1/me` said of the token; null before it was asked. */
export function whoami() {
  return me;
}

export function rememberMe(answer) {
  me = answer;
  tell();
}

export function setToken(next) {
  token = next;
  try {
    if (next === null) sessionStorage.removeItem(TOKEN);
    else sessionStorage.setItem(TOKEN, next);
  } catch {
    // Without storage the sign-in holds until the page is left.
  }
}

/** Forget the token, the person, and what was kept for their unanswered writes. */
export function signOut() {
  setToken(null);
  me = null;
  try {
    sessionStorage.clear();
  } catch {
    // There was nothing to clear then.
  }
  tell();
}

/** Call `listener` whenever somebody signs in or out. */
export function onSession(listener) {
  listeners.add(listener);
}

function tell() {
  for (const listener of listeners) listener(me);
}

/** Whether this server takes any name (`serve --dev`). */
export function isDev() {
  return document.documentElement.dataset.dev === "yes";
}

/**
 * The text of the form field as a header can carry it, or null: headers hold visible ASCII
 * only, which every token is made of.
 */
export function asToken(text) {
  const trimmed = text.trim().replace(/^bearer\s+/i, "");
  return /^[\x21-\x7e]+$/.test(trimmed) ? trimmed : null;
}
