// express-pouchdb in a process of its own: `node serve.mjs FOLDER`, started by server.mjs.

import { createRequire } from "node:module";

import express from "express";
import PouchDB from "pouchdb";

import { cpu, synced } from "./pouch.mjs";

const expressPouchDB = createRequire(import.meta.url)("express-pouchdb");

const databases = PouchDB.defaults({ prefix: `${process.argv[2]}/`, db: synced });
const app = express();
app.use("/", expressPouchDB(databases, { mode: "minimumForPouchDB" }));
const server = app.listen(0, "127.0.0.1", () => process.send({ port: server.address().port }));
process.on("message", () => process.send({ cpu: cpu() }));
process.on("disconnect", () => process.exit(0));
