/** What a cluster keeps on disk, and how other commands find it. */
export { clusterNames, readState, StateDirectory, stateHome, type StateRecord, socketPath } from "./directory.ts";
