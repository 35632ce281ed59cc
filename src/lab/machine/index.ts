/** A lab machine's files and root file system. */
export { buildEtc, hostsFile, interfacesFile, sysctlFile, systemAccounts, withToolAccounts } from "./etc.ts";
export {
  IMAGE_ROOT,
  labPaths,
  type MachineFolders,
  machineFolders,
  machineLeaf,
  machineRoot,
  PROGRAM_ROOT,
  pathInside,
  prepareFolders,
  removeFolders,
  writeInside,
} from "./root.ts";
