// Opening a database that is there already, reading documents, and asking it questions.

import path from "node:path";
import { createRequire } from "node:module";

import PouchDB from "pouchdb";

import { lastName, patient, range, recordId, spreadOver } from "./patients.mjs";
import {
  copyOfFilled, cpu, latencies, now, open, params, peakBytes, percentile, same, tell, workFolder,
} from "./pouch.mjs";

PouchDB.plugin(createRequire(import.meta.url)("pouchdb-find"));

const copied = (records) => copyOfFilled(records, path.join(workFolder(), "db"));

export async function reopen() {
  const { records } = params();
  const file = await copied(records);
  const wanted = Math.floor(records / 3);
  const [cpuBefore, began] = [cpu(), now()];
  const db = open(file);
  const found = await db.get(recordId(wanted));
  const [took, used, peak] = [now() - began, cpu() - cpuBefore, peakBytes()];
  same(found, patient(wanted));
  if ((await db.info()).doc_count !== records) throw new Error("records are missing");
  tell({ first_read_s: took, cpu_ms: used * 1e3, ...(peak === null ? {} : { peak_mb: peak / 1e6 }) });
}

export async function read() {
  const { records, reads } = params();
  const db = open(await copied(records));
  const taken = [];
  let used = 0;
  for (const number of spreadOver(reads, records)) {
    const [cpuBefore, began] = [cpu(), now()];
    const found = await db.get(recordId(number));
    taken.push(now() - began);
    used += cpu() - cpuBefore;
    same(found, patient(number));
  }
  tell({ ...latencies(taken), cpu_us: (used * 1e6) / reads });
}

export async function query({ indexed }) {
  const { records, queries } = params();
  const db = open(await copied(records));
  const figures = {};
  if (indexed) {
    const began = now();
    await db.createIndex({ index: { fields: ["last"] } });
    await db.find({ selector: { last: lastName(0) }, limit: 1 });
    figures.index_s = now() - began;
  }
  const taken = [];
  for (const number of spreadOver(queries, records)) {
    const last = lastName(number);
    const began = now();
    const { docs } = await db.find({ selector: { last }, limit: records });
    taken.push(now() - began);
    const expected = range(0, records).filter((other) => lastName(other) === last);
    if (docs.length !== expected.length) throw new Error(`${docs.length} found`);
    const found = new Map(docs.map((doc) => [doc._id, doc]));
    for (const other of expected) same(found.get(recordId(other)), patient(other));
  }
  tell({ p50_ms: percentile(taken, 0.5) * 1e3, p99_ms: percentile(taken, 0.99) * 1e3, ...figures });
}
