// Calls to /v1 with the token of whoever signed in. Every failure is a Problem with words.

import { answered, untilNextTry } from "./connection.js";
import { currentToken, rememberMe, setToken, whoami } from "./session.js";
import { has, lang, reasonWords, t } from "./words.js";

const TIMEOUT_MS = 30_000;
const KEYS = "crdtsync.keys";
const MAX_KEYS = 50;

/** An answer other than the one that was asked for. `status` 0: no answer at all. */
export class Problem extends Error {
  constructor(status, body = {}, headers = null) {
    super(body.detail ?? body.title ?? String(status));
    this.name = "Problem";
    this.status = status;
    this.code = body.code ?? (status === 0 ? "unreachable" : `http_${status}`);
    this.requestId = body.request_id ?? headers?.get("x-request-id") ?? null;
    this.body = body;
    this.retryAfterS = Number(headers?.get("retry-after")) || null;
  }

  /** Whether the same request may succeed a little later. */
  get transient() {
    return [0, 429, 502, 503, 504].includes(this.status);
  }

  /** What happened, for people: one sentence. */
  get words() {
    if (this.status === 0) return t("problem_unreachable");
    if (this.body.words && this.body.field) {
      return t("problem_refused_field", {
        field: this.body.label ?? this.body.field,
        reason: this.body.words,
      });
    }
    if (this.body.words) return t("problem_refused", { reason: this.body.words });
    const key = `problem_${this.status}`;
    if (this.status === 503 && has(`reason_${this.code}`)) {
      return t("problem_503_reason", { reason: reasonWords(this.code) });
    }
    return t(has(key) ? key : "problem_other");
  }
}

/** Thrown where another person signed in while a request waited: it is not sent under their name. */
export class OtherPerson extends Error {}

let signInAgain = null;

/** `ask(problem)`: shows the sign-in form, and resolves when somebody has signed in. */
export function onSignedOut(ask) {
  signInAgain = ask;
}

/** GET as JSON; waits and tries again as long as the server cannot answer. */
export async function get(path, query = {}, { signal } = {}) {
  for (;;) {
    try {
      return (await request("GET", path, { query, signal })).json;
    } catch (error) {
      if (!(error instanceof Problem) || !error.transient) throw error;
      await untilNextTry(error, signal);
    }
  }
}

/** GET once, without waiting for a server that cannot answer now. */
export async function getOnce(path, query = {}, { signal } = {}) {
  return (await request("GET", path, { query, signal })).json;
}

/**
 * A write. Its Idempotency-Key is made once and kept until the server has answered, so that
 * sending the same again, after a lost answer or a reload of the page, is the same op. The same
 * on top of another state (If-Match) is another wish: the answer of the first would be no answer.
 */
export async function write(method, path, body, { headers = {}, signal } = {}) {
  const name = await fingerprint([whoami()?.user, method, path, body, headers]);
  const key = keptKey(name);
  try {
    const answer = await request(method, path, {
      body,
      signal,
      headers: { ...headers, "Idempotency-Key": key },
    });
    forgetKey(name);
    return answer.json;
  } catch (error) {
    if (error instanceof Problem && !error.transient && error.status < 500) forgetKey(name);
    throw error;
  }
}

async function request(method, path, { query = {}, body, headers = {}, signal } = {}) {
  for (;;) {
    const asked = whoami()?.user;
    const answer = await send(method, path, { query, body, headers, signal });
    if (answer.ok) {
      answered();
      return { json: answer.status === 204 ? null : await readJson(answer), answer };
    }
    const problem = new Problem(answer.status, await problemBody(answer), answer.headers);
    if (problem.status !== 401 || !signInAgain) {
      if (!problem.transient) answered();
      throw problem;
    }
    await signInAgain(problem);
    if (asked !== undefined && whoami()?.user !== asked) throw new OtherPerson();
  }
}

async function send(method, path, { query, body, headers, signal }) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  const sent = { Accept: "application/json", "Accept-Language": lang(), ...headers };
  const token = currentToken();
  if (token !== null) sent.Authorization = `Bearer ${token}`;
  if (body !== undefined) sent["Content-Type"] = "application/json";
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await fetch(url, {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      credentials: "omit",
      cache: "no-store",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, { detail: String(error?.message ?? error) });
  }
}

async function readJson(answer) {
  try {
    return await answer.json();
  } catch (error) {
    // The body broke off: the same as no answer.
    throw new Problem(0, { detail: String(error) });
  }
}

async function problemBody(answer) {
  try {
    const body = await answer.json();
    return body !== null && typeof body === "object" ? body : {};
  } catch {
    return {};  // a proxy's page, not ours: the status has to do
  }
}

/** Take this token, if `/v1/me` accepts it. Throws Problem; the old token holds then. */
export async function trySignIn(token) {
  const before = currentToken();
  setToken(token);
  try {
    const answer = await send("GET", "/v1/me", { query: {}, headers: {} });
    if (!answer.ok) {
      throw new Problem(answer.status, await problemBody(answer), answer.headers);
    }
    answered();
    const me = await readJson(answer);
    rememberMe(me);
    return me;
  } catch (error) {
    setToken(before);
    throw error;
  }
}

/** The stream of changes; used by live.js. */
export async function openStream(path, query, signal) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  const answer = await fetch(url, {
    headers: { Accept: "text/event-stream", Authorization: `Bearer ${currentToken()}` },
    signal,
    credentials: "omit",
    cache: "no-store",
  });
  if (!answer.ok) throw new Problem(answer.status, await problemBody(answer), answer.headers);
  return answer.body;
}

// ── keys of writes that have no answer yet ──────────────────────────────────────────────────

async function fingerprint(parts) {
  const bytes = new TextEncoder().encode(JSON.stringify(parts));
  if (!globalThis.crypto?.subtle) return String(parts.map((part) => JSON.stringify(part)));
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function readKeys() {
  try {
    return JSON.parse(sessionStorage.getItem(KEYS) ?? "{}");
  } catch {
    return {};
  }
}

function saveKeys(keys) {
  try {
    sessionStorage.setItem(KEYS, JSON.stringify(keys));
  } catch {
    // Without storage a reload forgets them; a retry on this page still has its own.
  }
}

function keptKey(name) {
  const keys = readKeys();
  if (!(name in keys)) {
    const names = Object.keys(keys);
    for (const old of names.slice(0, Math.max(0, names.length - MAX_KEYS + 1))) delete keys[old];
    keys[name] = uuid4();
    saveKeys(keys);
  }
  return keys[name];
}

function forgetKey(name) {
  const keys = readKeys();
  delete keys[name];
  saveKeys(keys);
}

/** crypto.randomUUID is there on https and localhost only; a ward's server may be plain http. */
export function uuid4() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

export const segment = encodeURIComponent;
