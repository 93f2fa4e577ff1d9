// Keeps a view up to date while somebody looks at it: the stream of changes of a space, and a
// slow refresh beside it. A hidden tab asks for nothing.

import { openStream, Problem } from "./api.js";

const MERGE_MS = 1_500;
const BACK_MS = [2_000, 5_000, 15_000, 30_000];

/**
 * Call `refresh()` every `everyMs` while the page is visible, and soon after a change of
 * `space` (null: no stream). One refresh at a time. Ends with `signal`.
 */
export function keepFresh({ space, since, everyMs, refresh, signal }) {
  let running = false;
  let again = false;
  let timer = null;

  const run = async () => {
    if (signal.aborted || document.hidden) return;
    if (running) {
      again = true;
      return;
    }
    running = true;
    try {
      await refresh();
    } catch (error) {
      // The view shows its own problems; the next round tries again.
      if (!signal.aborted) console.warn("refresh failed", error);
    }
    running = false;
    if (again) {
      again = false;
      soon();
    }
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(run, MERGE_MS);
  };
  const ticker = setInterval(run, everyMs);
  const seen = () => document.hidden || run();
  document.addEventListener("visibilitychange", seen);
  signal.addEventListener("abort", () => {
    clearInterval(ticker);
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
  });
  if (space) followChanges({ space, since, changed: soon, signal });
}

/** Read the stream of `space` from `since`; `changed()` for each entry. Opens again when cut. */
async function followChanges({ space, since, changed, signal }) {
  let place = { since: since ?? 0 };
  let failures = 0;
  while (!signal.aborted) {
    await whileHidden(signal);
    const stop = new AbortController();
    const end = () => stop.abort();
    const hide = () => document.hidden && stop.abort();
    signal.addEventListener("abort", end);
    document.addEventListener("visibilitychange", hide);
    try {
      const body = await openStream("/v1/changes", { space, ...place }, stop.signal);
      for await (const event of events(body)) {
        failures = 0;
        if (event.id) place = placeOf(event.id);
        if (event.data) changed();
      }
    } catch (error) {
      // Cut, refused or restarted: the slow refresh tells of it where it matters. Only a place
      // that the log does not have (any more) would be asked for in vain for ever.
      if (error instanceof Problem && ["diverged", "log_trimmed"].includes(error.code)) {
        place = { since: error.body.head, digest: error.body.digest };
        changed();
      }
    }
    signal.removeEventListener("abort", end);
    document.removeEventListener("visibilitychange", hide);
    if (!stop.signal.aborted || document.hidden) {
      await pause(BACK_MS[Math.min(failures, BACK_MS.length - 1)], signal);
      failures += 1;
    }
  }
}

function placeOf(id) {
  const [since, digest] = id.split("-");
  return { since, digest };
}

/** Server-sent events of a body: `{id, data}`. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = {};
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r\n|\n/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        yield event;
        event = {};
        continue;
      }
      const [, name, content] = line.match(/^([^:]*):? ?(.*)$/);
      if (name === "id") event.id = content;
      else if (name === "data") event.data = (event.data ?? "") + content;
    }
  }
}

function whileHidden(signal) {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look);
  });
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
