/** Containers' logs in the CRI format: written, read, followed. */
export { decodeEntry, encodeEntries, type LogEntry, type LogStream, logTime } from "./cri.ts";
export { fileGrowth, type LogGrowth } from "./growth.ts";
export type { StreamBytes } from "./ledger.ts";
export { containerLogLink, containerLogPath, type LogFolders, podLogFolder } from "./paths.ts";
export { type LogOptions, readLog } from "./reader.ts";
export { recoverLog } from "./recover.ts";
export { defaultLogLimits, type LogLimits, olderLogs, removeLog } from "./rotation.ts";
export { ContainerLog } from "./writer.ts";
