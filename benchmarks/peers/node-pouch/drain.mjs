import { drain } from "./syncing.mjs";

await drain();
