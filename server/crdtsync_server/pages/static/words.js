// Words in the language of the page. The texts live in pages/texts/*.py, English beside Korean.

export const LANGS = ["en", "ko"];
const KEY = "crdtsync.lang";
let words = {};

export function lang() {
  return document.documentElement.lang === "ko" ? "ko" : "en";
}

/** Load the words of the page's language. Throws when the server cannot be reached. */
export async function loadWords() {
  const answer = await fetch(`/app/words/${lang()}.json`);
  if (!answer.ok) throw new Error(`words: ${answer.status}`);
  words = await answer.json();
}

/** Speak `to` from now on, and remember it in this browser. */
export async function changeLang(to) {
  document.documentElement.lang = to;
  try {
    localStorage.setItem(KEY, to);
  } catch {
    // Without storage the choice holds until the page is closed.
  }
  await loadWords();
}

/** The text `key`, filled in. `{n:change|changes}` is the first word when n is 1. */
export function t(key, params = {}) {
  const template = words[key];
  if (template === undefined) return key;
  return template.replace(/\{(\w+)(?::([^|}]*)\|([^}]*))?\}/g, (whole, name, one, many) => {
    if (!(name in params)) return whole;
    const value = String(params[name]);
    if (one === undefined) return value;
    return value === "1" ? one : many;
  });
}

/**
 * The text `key` as pieces for `h`: parameters may be elements. Each plain value is isolated,
 * because it may be text of people in any direction.
 */
export function parts(key, params = {}) {
  const pieces = [];
  const template = words[key] ?? key;
  const pattern = /\{(\w+)(?::([^|}]*)\|([^}]*))?\}/g;
  let from = 0;
  for (const found of template.matchAll(pattern)) {
    pieces.push(template.slice(from, found.index));
    const [whole, name, one, many] = found;
    const value = params[name];
    if (value instanceof Node || Array.isArray(value)) pieces.push(value);
    else if (one !== undefined) pieces.push(String(value) === "1" ? one : many);
    else if (value === undefined) pieces.push(whole);
    else {
      const isolate = document.createElement("bdi");
      isolate.textContent = String(value);
      pieces.push(isolate);
    }
    from = found.index + whole.length;
  }
  pieces.push(template.slice(from));
  return pieces;
}

export function has(key) {
  return key in words;
}

/** Why something was refused, in words that stand inside of a sentence. */
export function reasonWords(code) {
  return has(`reason_${code}`) ? t(`reason_${code}`) : t("reason_unknown", { code });
}
