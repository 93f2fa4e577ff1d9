import { reopen } from "./reading.mjs";

await reopen();
