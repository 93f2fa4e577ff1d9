import { query } from "./reading.mjs";

await query({ indexed: false });
