// A hundred documents a request, one request after the other, over one kept connection.

import http from "node:http";
import path from "node:path";

import PouchDB from "pouchdb";

import { patient, range } from "./patients.mjs";
import { checkPatients, latencies, now, params, tell, workFolder } from "./pouch.mjs";
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

const { frames, ops } = params();
const bodies = range(0, frames).map((frame) =>
  Buffer.from(JSON.stringify({ docs: range(frame * ops, (frame + 1) * ops).map(patient) })),
);
const server = await startServer(path.join(workFolder(), "server"));
const remote = new PouchDB(`${server.url}/ward`);
await remote.info();
const taken = [];
const [serverBefore, began] = [await server.cpu(), now()];
for (const body of bodies) {
  const before = now();
  const answers = await post(`${server.url}/ward/_bulk_docs`, body);
  taken.push(now() - before);
  if (answers.length !== ops || !answers.every((answer) => answer.ok)) throw new Error("refused");
}
const [took, used] = [now() - began, (await server.cpu()) - serverBefore];
await checkPatients(remote, frames * ops);
server.stop();
tell({
  ...latencies(taken),
  per_s: (frames * ops) / took,
  server_cpu_us: (used * 1e6) / (frames * ops),
});
