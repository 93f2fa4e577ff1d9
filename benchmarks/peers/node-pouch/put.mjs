import { measure } from "./writing.mjs";

await measure({ durable: true, atOnce: 1 });
