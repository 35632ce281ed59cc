/** A lab machine's files and root file system. */
export { buildEtc, hostsFile, interfacesFile, sysctlFile, systemAccounts, withToolAccounts } from "./etc.ts";
export {
  labPaths,
  type MachineFolders,
  machineFolders,
  machineRoot,
  PROGRAM_ROOT,
  pathInside,
  prepareFolders,
  removeFolders,
  writeInside,
} from "./root.ts";
