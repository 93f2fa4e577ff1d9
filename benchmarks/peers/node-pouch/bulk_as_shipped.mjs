import { params } from "./pouch.mjs";
import { measure } from "./writing.mjs";

await measure({ durable: false, atOnce: params().at_once });
