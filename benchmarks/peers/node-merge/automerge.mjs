// The merge scenarios in Automerge: keys of the root map. Documents are frozen values.
import * as A from "@automerge/automerge";
import {
  CONFLICT_FIELD, LEFT_EDITS, NAMES, RIGHT_EDITS, checkMerged, edited, expect, firstValues,
  inBatches, isConflicting, main, manyWriters, valuesAfter,
} from "./shape.mjs";

const set = (doc, name, value) => A.change(doc, (draft) => { draft[name] = value; });
const created = (record) =>
  A.change(A.init(), (draft) => { Object.assign(draft, firstValues(record)); });
const snapshot = (record) => A.save(created(record));
const values = (doc) => ({ ...doc });

const create = (params) => {
  let sizes = 0;
  const watch = inBatches(params, Number, snapshot, (record, _, data) => {
    sizes += data.length;
    expect(values(A.load(data)), firstValues(record));
  });
  return watch.figures("docs_per_s", { bytes: sizes / watch.done });
};

const overwrite = (params) => {
  let sizes = 0;
  const prepare = (record) => {
    const left = created(record);
    return { left, right: A.load(A.save(left)) };
  };
  const work = (pair) => {
    let { left, right } = pair;
    let sent = 0;
    for (let number = 0; number < params.edits; number++) {
      left = set(left, NAMES[number % 10], edited(number));
      const data = A.getLastLocalChange(left);
      sent += data.length;
      [right] = A.applyChanges(right, [data]);
    }
    return { left, right, sent };
  };
  const check = (record, _, { left, right, sent }) => {
    sizes += sent;
    expect(values(left), valuesAfter(record, params.edits));
    expect(values(right), valuesAfter(record, params.edits));
  };
  const watch = inBatches(params, prepare, work, check, params.edits);
  return watch.figures("ops_per_s", { bytes: sizes / watch.done });
};

const diverged = (record) => {
  let left = created(record);
  let right = A.load(A.save(left));
  const shared = A.getHeads(left);
  for (const name of LEFT_EDITS) left = set(left, name, `left wrote ${name}`);
  for (const name of RIGHT_EDITS) right = set(right, name, `right wrote ${name}`);
  return { left, right, shared };
};

const twoWay = (params) => {
  let sizes = 0;
  // Each side knows the heads that both had when they were last in step.
  const work = (pair) => {
    const toRight = A.getChangesSince(pair.left, pair.shared);
    const toLeft = A.getChangesSince(pair.right, pair.shared);
    const [right] = A.applyChanges(pair.right, toRight);
    const [left] = A.applyChanges(pair.left, toLeft);
    const sent = [...toRight, ...toLeft].reduce((sum, change) => sum + change.length, 0);
    return { left, right, sent };
  };
  const check = (record, _, { left, right, sent }) => {
    sizes += sent;
    expect(values(left), values(right));
    checkMerged(record, values(left));
  };
  const watch = inBatches(params, diverged, work, check);
  return watch.figures("docs_per_s", { bytes: sizes / watch.done });
};

const writers = (params) =>
  manyWriters(
    params,
    (number) => A.getLastLocalChange(set(A.init(), NAMES[number % 10], edited(number))),
    (changes) => A.applyChanges(A.init(), changes)[0],
    (merged) => expect(Object.keys(merged).length, Math.min(10, params.clients)),
  );

const conflicts = (params) => {
  const prepare = (record) => {
    if (!isConflicting(record, params.one_in)) return snapshot(record);
    const left = created(record);
    const right = A.load(A.save(left));
    const merged = A.merge(
      set(left, CONFLICT_FIELD, "left's choice"), set(right, CONFLICT_FIELD, "right's choice"),
    );
    return A.save(merged);
  };
  const work = (data) => A.getConflicts(A.load(data), CONFLICT_FIELD) !== undefined;
  const check = (record, _, found) => expect(found, isConflicting(record, params.one_in));
  return inBatches(params, prepare, work, check).figures("docs_per_s");
};

const load = (params) =>
  inBatches(params, snapshot, (data) => A.load(data), (record, _, doc) =>
    expect(values(doc).f9, firstValues(record).f9),
  ).figures("docs_per_s");

const read = (params) =>
  inBatches(params, (record) => A.load(snapshot(record)), values, (record, _, found) =>
    expect(found, firstValues(record)),
  ).figures("docs_per_s");

main({ create, overwrite, two_way: twoWay, writers, conflicts, load, read });
