import { measure } from "./writing.mjs";

await measure({ durable: false, atOnce: 1 });
