import { read } from "./reading.mjs";

await read();
