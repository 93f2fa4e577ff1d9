import { edits } from "./pushing.mjs";

await edits();
