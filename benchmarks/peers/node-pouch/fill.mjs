// Fills a database with patients: `node fill.mjs FOLDER RECORDS`.

import { patient, range } from "./patients.mjs";
import { open, write } from "./pouch.mjs";

const [folder, records] = process.argv.slice(2);
const db = open(folder, { durable: false });
await write(db, range(0, Number(records)).map(patient));
await db.close();
