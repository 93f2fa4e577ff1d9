// The merge scenarios in Yjs: one Y.Map with a key a field.
import * as Y from "yjs";
import {
  LEFT_EDITS, NAMES, RIGHT_EDITS, checkMerged, edited, expect, firstValues, inBatches, main,
  manyWriters, valuesAfter,
} from "./shape.mjs";

const loaded = (data) => {
  const doc = new Y.Doc();
  Y.applyUpdate(doc, data);
  return doc;
};

const created = (record) => {
  const doc = new Y.Doc();
  const map = doc.getMap("record");
  doc.transact(() => {
    for (const [name, value] of Object.entries(firstValues(record))) map.set(name, value);
  });
  return doc;
};

const snapshot = (record) => Y.encodeStateAsUpdate(created(record));
const values = (doc) => doc.getMap("record").toJSON();

const create = (params) => {
  let sizes = 0;
  const watch = inBatches(params, Number, snapshot, (record, _, data) => {
    sizes += data.length;
    expect(values(loaded(data)), firstValues(record));
  });
  return watch.figures("docs_per_s", { bytes: sizes / watch.done });
};

const overwrite = (params) => {
  let sizes = 0;
  const prepare = (record) => {
    const left = created(record);
    const right = loaded(Y.encodeStateAsUpdate(left));
    const updates = [];
    left.on("update", (update) => updates.push(update));
    return { left, right, updates, map: left.getMap("record") };
  };
  const work = ({ right, updates, map }) => {
    let sent = 0;
    for (let number = 0; number < params.edits; number++) {
      map.set(NAMES[number % 10], edited(number));
      const data = updates.pop();
      sent += data.length;
      Y.applyUpdate(right, data);
    }
    return sent;
  };
  const check = (record, { left, right }, sent) => {
    sizes += sent;
    expect(values(left), valuesAfter(record, params.edits));
    expect(values(right), valuesAfter(record, params.edits));
  };
  const watch = inBatches(params, prepare, work, check, params.edits);
  return watch.figures("ops_per_s", { bytes: sizes / watch.done });
};

const twoWay = (params) => {
  let sizes = 0;
  const prepare = (record) => {
    const left = created(record);
    const right = loaded(Y.encodeStateAsUpdate(left));
    for (const name of LEFT_EDITS) left.getMap("record").set(name, `left wrote ${name}`);
    for (const name of RIGHT_EDITS) right.getMap("record").set(name, `right wrote ${name}`);
    return [left, right];
  };
  const work = ([left, right]) => {
    const toRight = Y.encodeStateAsUpdate(left, Y.encodeStateVector(right));
    const toLeft = Y.encodeStateAsUpdate(right, Y.encodeStateVector(left));
    Y.applyUpdate(right, toRight);
    Y.applyUpdate(left, toLeft);
    return toRight.length + toLeft.length;
  };
  const check = (record, [left, right], sent) => {
    sizes += sent;
    expect(values(left), values(right));
    checkMerged(record, values(left));
  };
  const watch = inBatches(params, prepare, work, check);
  return watch.figures("docs_per_s", { bytes: sizes / watch.done });
};

const writers = (params) =>
  manyWriters(
    params,
    (number) => {
      const doc = new Y.Doc();
      doc.getMap("record").set(NAMES[number % 10], edited(number));
      return Y.encodeStateAsUpdate(doc);
    },
    (updates) => {
      const merged = new Y.Doc();
      merged.transact(() => updates.forEach((update) => Y.applyUpdate(merged, update)));
      return merged;
    },
    (merged) => expect(Object.keys(values(merged)).length, Math.min(10, params.clients)),
  );

const load = (params) =>
  inBatches(params, snapshot, loaded, (record, _, doc) =>
    expect(values(doc).f9, firstValues(record).f9),
  ).figures("docs_per_s");

const read = (params) =>
  inBatches(params, (record) => loaded(snapshot(record)), values, (record, _, found) =>
    expect(found, firstValues(record)),
  ).figures("docs_per_s");

main({ create, overwrite, two_way: twoWay, writers, load, read });
