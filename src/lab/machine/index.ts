/** A lab machine's files and root file system. */
export { buildEtc, hostsFile, interfacesFile, sysctlFile, systemAccounts } from "./etc.ts";
export { labPaths, machineFolders, type MachineFolders, machineRoot, pathInside, prepareFolders, PROGRAM_ROOT, writeInside } from "./root.ts";
