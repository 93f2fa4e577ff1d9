import { catchUp } from "./syncing.mjs";

await catchUp();
