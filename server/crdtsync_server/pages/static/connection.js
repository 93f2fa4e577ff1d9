// Whether the server answers. While it does not, reads wait here and try again: first after
// one second, then twice as long each time up to half a minute, or at once when a person asks.

const FIRST_S = 1;
const CAP_S = 30;
const listeners = new Set();
let trouble = null;
let failures = 0;
let wake = null;

/** `listener({problem, atMs} | null)`: what keeps the server from answering, and the next try. */
export function onTrouble(listener) {
  listeners.add(listener);
}

function tell(next) {
  trouble = next;
  for (const listener of listeners) listener(trouble);
}

/** An answer came: everything is in order again. */
export function answered() {
  failures = 0;
  if (trouble) tell(null);
}

/** Wait for the next try after `problem`. Rejects when `signal` is aborted. */
export async function untilNextTry(problem, signal) {
  failures += 1;
  const backoff_s = Math.min(CAP_S, FIRST_S * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);
  const wait_s = Math.max(problem.retryAfterS ?? 0, backoff_s);
  tell({ problem, atMs: Date.now() + wait_s * 1000 });
  wake ??= deferred();
  const timer = setTimeout(tryNow, wait_s * 1000);
  try {
    await Promise.race([wake.promise, aborted(signal)]);
  } finally {
    clearTimeout(timer);
  }
}

/** Try again now: the button, or the browser's word that the network is back. */
export function tryNow() {
  wake?.resolve();
  wake = null;
}

addEventListener("online", tryNow);

function deferred() {
  let resolve;
  const promise = new Promise((done) => (resolve = done));
  return { promise, resolve };
}

function aborted(signal) {
  return new Promise((_, reject) => {
    if (!signal) return;
    const stop = () => reject(signal.reason ?? new DOMException("aborted", "AbortError"));
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
