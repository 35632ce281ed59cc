/** What a cluster keeps on disk, and how other commands find it. */
export { DataDirectory } from "./dataDirectory.ts";
export {
  clusterNames,
  readState,
  removeRemains,
  StateDirectory,
  type StateRecord,
  socketPath,
  stateHome,
} from "./directory.ts";
