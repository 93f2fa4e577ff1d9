// Many documents a request, one request after the other, over one kept connection.

import http from "node:http";
import path from "node:path";

import PouchDB from "pouchdb";

import { patient, phone, range, recordId, spreadOver } from "./patients.mjs";
import {
  checkPatients, copyOfFilled, latencies, now, params, same, tell, workFolder,
} from "./pouch.mjs";
import { startServer } from "./server.mjs";

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function post(url, body) {
  return new Promise((answered, failed) => {
    const headers = { "Content-Type": "application/json", "Content-Length": body.length };
    const request = http.request(url, { method: "POST", agent, headers }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => answered(JSON.parse(Buffer.concat(parts))));
    });
    request.on("error", failed);
    request.end(body);
  });
}

async function pushed(server, docs, atOnce) {
  const bodies = range(0, docs.length / atOnce).map((frame) =>
    Buffer.from(JSON.stringify({ docs: docs.slice(frame * atOnce, (frame + 1) * atOnce) })),
  );
  const taken = [];
  const [serverBefore, began] = [await server.cpu(), now()];
  for (const body of bodies) {
    const before = now();
    const answers = await post(`${server.url}/ward/_bulk_docs`, body);
    taken.push(now() - before);
    if (answers.length !== atOnce || !answers.every((one) => one.ok)) throw new Error("refused");
  }
  const [took, used] = [now() - began, (await server.cpu()) - serverBefore];
  return {
    ...latencies(taken),
    per_s: docs.length / took,
    server_cpu_us: (used * 1e6) / docs.length,
  };
}

export async function newRecords() {
  const { frames, ops } = params();
  const server = await startServer(path.join(workFolder(), "server"));
  const remote = new PouchDB(`${server.url}/ward`);
  await remote.info(); // the database is made before the clock runs
  const figures = await pushed(server, range(0, frames * ops).map(patient), ops);
  await checkPatients(remote, frames * ops);
  server.stop();
  tell(figures);
}

export async function edits() {
  const { frames, ops } = params();
  const many = frames * ops;
  const folder = path.join(workFolder(), "server");
  await copyOfFilled(many, path.join(folder, "ward"));
  const server = await startServer(folder);
  const remote = new PouchDB(`${server.url}/ward`);
  const revs = new Map((await remote.allDocs()).rows.map((row) => [row.id, row.value.rev]));
  const edited = spreadOver(many, many).map((number) => ({
    ...patient(number), phone: phone(number, 1), _rev: revs.get(recordId(number)),
  }));
  const figures = await pushed(server, edited, ops);
  for (let nth = 0; nth < many; nth += Math.max(Math.floor(many / 50), 1)) {
    const { _rev, ...expected } = edited[nth];
    same(await remote.get(expected._id), expected);
  }
  server.stop();
  tell(figures);
}
