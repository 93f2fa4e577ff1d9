import { firstSync } from "./syncing.mjs";

await firstSync();
