import { newRecords } from "./pushing.mjs";

await newRecords();
