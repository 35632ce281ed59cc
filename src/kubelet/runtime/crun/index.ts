/** crun as a second container runtime. */
export { findCrun, installHint } from "./program.ts";
export { CrunError, CrunSpawner } from "./spawner.ts";
export { endContainers, endUnfinished } from "./unfinished.ts";
