// Durable writes into a database that holds records already.

import path from "node:path";

import { patient, phone, recordId, spreadOver } from "./patients.mjs";
import { copyOfFilled, cpu, latencies, now, open, params, tell, workFolder } from "./pouch.mjs";

const WARM = 20;

export async function measure({ durable, atOnce }) {
  const { records, writes } = params();
  const folder = workFolder();
  const file = await copyOfFilled(records, path.join(folder, "db"));
  let db = open(file, { durable });
  const numbers = spreadOver((WARM + writes) * atOnce, records);
  const revs = new Map();
  for (const row of (await db.allDocs()).rows) revs.set(row.id, row.value.rev);
  const expected = new Map();
  const taken = [];
  let [cpuBefore, began] = [0, 0];
  for (let turn = 0; turn < WARM + writes; turn++) {
    if (turn === WARM) [cpuBefore, began] = [cpu(), now()];
    // Whoever edits has read the record, so its revision is at hand.
    const docs = numbers.slice(turn * atOnce, (turn + 1) * atOnce).map((number) => {
      const id = recordId(number);
      return { ...patient(number), phone: phone(number, turn + 1), _rev: revs.get(id) };
    });
    const before = now();
    const answers = atOnce === 1 ? [await db.put(docs[0])] : await db.bulkDocs(docs);
    if (turn >= WARM) taken.push(now() - before);
    answers.forEach((answer, nth) => {
      if (!answer.ok) throw new Error(JSON.stringify(answer));
      revs.set(answer.id, answer.rev);
      expected.set(answer.id, docs[nth].phone);
    });
  }
  const [took, used] = [now() - began, cpu() - cpuBefore];
  await db.close();
  db = open(file, { durable });
  for (const [id, value] of expected) {
    if ((await db.get(id)).phone !== value) throw new Error(`${id} was not kept`);
  }
  const many = writes * atOnce;
  tell({ ...latencies(taken), per_s: many / took, cpu_us: (used * 1e6) / many });
}
