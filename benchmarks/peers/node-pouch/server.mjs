// A remote in a process of its own, whose processor time is not its client's.

import { fork } from "node:child_process";
import fs from "node:fs";
import { fileURLToPath } from "node:url";

export async function startServer(folder) {
  fs.mkdirSync(folder, { recursive: true });
  const child = fork(fileURLToPath(new URL("./serve.mjs", import.meta.url)), [folder]);
  const said = () => new Promise((heard) => child.once("message", heard));
  const { port } = await said();
  return {
    url: `http://127.0.0.1:${port}`,
    cpu: async () => {
      const answer = said();
      child.send("cpu");
      return (await answer).cpu;
    },
    stop: () => child.disconnect(),
  };
}
