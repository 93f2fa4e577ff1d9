// What the scripts of this peer share: databases on disk, folders, clocks, figures.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { deepStrictEqual } from "node:assert";
import { fileURLToPath } from "node:url";

import leveldown from "leveldown";
import PouchDB from "pouchdb";

import { patient, recordId } from "./patients.mjs";

// PouchDB 9 hands its writes to LevelDB without `sync`: they are in the operating system when
// a put resolves, and a power cut takes them away. This hands the same writes on with `sync`,
// so that LevelDB calls fdatasync on its log before a batch is answered. One put, one bulk
// write and one batch of a replication is one LevelDB batch each, so one fdatasync each.
export function synced(location) {
  const db = leveldown(location);
  const { _put, _del, _batch } = db;
  db._put = (key, value, options, done) => _put.call(db, key, value, { ...options, sync: true }, done);
  db._del = (key, options, done) => _del.call(db, key, { ...options, sync: true }, done);
  db._batch = (batch, options, done) => _batch.call(db, batch, { ...options, sync: true }, done);
  return db;
}
synced.destroy = leveldown.destroy;

export const params = () => JSON.parse(process.argv[2]);

export const open = (location, { durable = true } = {}) =>
  new PouchDB(location, durable ? { db: synced } : {});

export function workFolder() {
  return fs.mkdtempSync(path.join(os.tmpdir(), "pouch-"));
}

// A database with so many patients, made once for a run of the benchmarks (by another process,
// so that its memory is not ours); give it a folder to be copied to.
export async function copyOfFilled(records, to) {
  const kept = process.env.CRDTSYNC_BENCHMARKS_PREPARED ?? os.tmpdir();
  const filled = path.join(kept, `pouch-${records}`);
  if (!fs.existsSync(filled)) {
    fs.rmSync(`${filled}.part`, { recursive: true, force: true });
    const script = fileURLToPath(new URL("./fill.mjs", import.meta.url));
    execFileSync(process.execPath, [script, `${filled}.part`, records]);
    fs.renameSync(`${filled}.part`, filled);
  }
  fs.cpSync(filled, to, { recursive: true });
  settle(to);
  return to;
}

// Bring what was copied to the disk, so that no later sync has to.
function settle(folder) {
  for (const name of fs.readdirSync(folder)) {
    const file = fs.openSync(path.join(folder, name), "r");
    fs.fsyncSync(file);
    fs.closeSync(file);
  }
}

export async function write(db, docs) {
  for (let first = 0; first < docs.length; first += 1000) {
    const answers = await db.bulkDocs(docs.slice(first, first + 1000));
    for (const one of answers) if (!one.ok) throw new Error(JSON.stringify(one));
  }
}

export function same(found, expected) {
  const { _rev, ...fields } = found;
  deepStrictEqual(fields, expected);
}

export async function checkPatients(db, records, samples = 50) {
  const { doc_count: count } = await db.info();
  if (count !== records) throw new Error(`${count} records instead of ${records}`);
  const step = Math.max(Math.floor(records / samples), 1);
  for (let number = 0; number < records; number += step) {
    same(await db.get(recordId(number)), patient(number));
  }
}

export const now = () => Number(process.hrtime.bigint()) / 1e9;
export const cpu = () => process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6;

export function percentile(values, share) {
  const ordered = [...values].sort((one, other) => one - other);
  // The nearest rank, as benchmarks/harness/percentiles.py has it.
  return ordered[Math.max(Math.ceil(Number((ordered.length * share).toFixed(9))), 1) - 1];
}

export const latencies = (taken) => ({
  p50_us: percentile(taken, 0.5) * 1e6,
  p99_us: percentile(taken, 0.99) * 1e6,
});

// The most memory that this process ever held; null where only Linux says it.
export function peakBytes() {
  try {
    const line = fs.readFileSync("/proc/self/status", "ascii").match(/^VmHWM:\s+(\d+) kB/m);
    return Number(line[1]) * 1024;
  } catch {
    return null;
  }
}

export function tell(figures) {
  const peak = peakBytes();
  const told = peak === null ? figures : { peak_memory_bytes: peak, ...figures };
  console.log(JSON.stringify({ figures: told }));
  process.exit(0);
}
