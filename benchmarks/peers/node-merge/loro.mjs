// The merge scenarios in loro-crdt: one LoroMap with a key a field.
import { LoroDoc } from "loro-crdt";
import {
  LEFT_EDITS, NAMES, RIGHT_EDITS, checkMerged, edited, expect, firstValues, inBatches, main,
  manyWriters, valuesAfter,
} from "./shape.mjs";

const loaded = (data) => {
  const doc = new LoroDoc();
  doc.import(data);
  return doc;
};

const created = (record) => {
  const doc = new LoroDoc();
  const map = doc.getMap("record");
  for (const [name, value] of Object.entries(firstValues(record))) map.set(name, value);
  doc.commit();
  return doc;
};

const whole = (doc) => doc.export({ mode: "snapshot" });
const snapshot = (record) => whole(created(record));
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
    return { left, right: loaded(whole(left)), map: left.getMap("record") };
  };
  // The event of local updates comes in a microtask; an export since a version comes at once.
  const work = ({ left, right, map }) => {
    let sent = 0;
    for (let number = 0; number < params.edits; number++) {
      const from = left.oplogVersion();
      map.set(NAMES[number % 10], edited(number));
      left.commit();
      const data = left.export({ mode: "update", from });
      sent += data.length;
      right.import(data);
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
    const right = loaded(whole(left));
    for (const [doc, side, names] of [[left, "left", LEFT_EDITS], [right, "right", RIGHT_EDITS]]) {
      for (const name of names) {
        doc.getMap("record").set(name, `${side} wrote ${name}`);
        doc.commit();
      }
    }
    return [left, right];
  };
  const work = ([left, right]) => {
    const toRight = left.export({ mode: "update", from: right.oplogVersion() });
    const toLeft = right.export({ mode: "update", from: left.oplogVersion() });
    right.import(toRight);
    left.import(toLeft);
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
      const doc = new LoroDoc();
      doc.getMap("record").set(NAMES[number % 10], edited(number));
      doc.commit();
      return doc.export({ mode: "update" });
    },
    (updates) => {
      const merged = new LoroDoc();
      merged.importBatch(updates);
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
