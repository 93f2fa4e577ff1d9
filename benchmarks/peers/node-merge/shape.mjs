// The record that every contender writes, as in benchmarks/merge/shape.py, and its timing.
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

export const NAMES = Array.from({ length: 10 }, (_, n) => `f${n}`);
export const LEFT_EDITS = ["f1", "f2", "f3"];
export const RIGHT_EDITS = ["f3", "f4", "f5"];
export const CONFLICT_FIELD = "f0";

export const firstValues = (record) =>
  Object.fromEntries(NAMES.map((name, n) => [name, `value ${n} of ${record}`]));

export const edited = (number) => `edit number ${number}`;

export const valuesAfter = (record, edits) => {
  const values = firstValues(record);
  for (let number = 0; number < edits; number++) values[NAMES[number % 10]] = edited(number);
  return values;
};

export const checkMerged = (record, values) => {
  for (const [name, first] of Object.entries(firstValues(record))) {
    const allowed = [];
    if (LEFT_EDITS.includes(name)) allowed.push(`left wrote ${name}`);
    if (RIGHT_EDITS.includes(name)) allowed.push(`right wrote ${name}`);
    if (allowed.length === 0) allowed.push(first);
    expect(allowed.includes(values[name]), true);
  }
};

export const isConflicting = (record, oneIn) => record % oneIn === oneIn - 1;

export const expect = (found, wanted) => {
  if (!isDeepStrictEqual(found, wanted)) {
    throw new Error(`${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
  }
};

/** Wall and CPU time of the work, and how much of it was done. */
export class Watch {
  wallS = 0;
  cpuUs = 0;
  done = 0;

  constructor(atMostS) {
    this.atMostS = atMostS;
  }

  time(work) {
    const cpu = process.cpuUsage();
    const wall = performance.now();
    const done = work();
    this.wallS += (performance.now() - wall) / 1e3;
    const used = process.cpuUsage(cpu);
    this.cpuUs += used.user + used.system;
    return done;
  }

  get isLate() {
    return this.wallS > this.atMostS;
  }

  figures(rate, more = {}) {
    return { [rate]: this.done / this.wallS, cpu_us: this.cpuUs / this.done, ...peakMemory(), ...more };
  }
}

const peakMemory = () => {
  if (process.platform !== "linux") return {};
  const held = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "ascii"));
  return { peak_memory_bytes: Number(held[1]) * 1024 };
};

/** Prepared and checked outside the time; work alone is timed. */
export const inBatches = (params, prepare, work, check, each = 1) => {
  const watch = new Watch(params.at_most_s);
  for (let start = 0; start < params.records; start += params.batch) {
    const numbers = [];
    for (let n = start; n < Math.min(start + params.batch, params.records); n++) numbers.push(n);
    const prepared = numbers.map(prepare);
    const done = watch.time(() => prepared.map(work));
    numbers.forEach((number, place) => check(number, prepared[place], done[place]));
    watch.done += each * numbers.length;
    if (watch.isLate) break;
  }
  return watch;
};

/** N writers: prepare gives their updates, merge makes one document of them. */
export const manyWriters = (params, prepare, merge, check) => {
  const watch = new Watch(params.at_most_s);
  let sizes = 0;
  for (let n = 0; n < params.records; n++) {
    const updates = Array.from({ length: params.clients }, (_, number) => prepare(number));
    check(watch.time(() => merge(updates)));
    sizes += updates.reduce((sum, update) => sum + update.length, 0);
    watch.done += params.clients;
    if (watch.isLate) break;
  }
  return watch.figures("ops_per_s", {
    ms: (watch.wallS * 1e3 * params.clients) / watch.done,
    bytes: sizes / watch.done,
  });
};

/** Runs the task that the case names, and prints its figures. */
export const main = (tasks) => {
  const params = JSON.parse(process.argv[2]);
  console.log(JSON.stringify({ figures: tasks[params.task](params) }));
};
