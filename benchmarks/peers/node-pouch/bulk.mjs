import { params } from "./pouch.mjs";
import { measure } from "./writing.mjs";

await measure({ durable: true, atOnce: params().at_once });
