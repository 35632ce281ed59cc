/** Images out of files. */
export { loadImages } from "./load.ts";
