/** Processes in namespaces: starting, adopting, terminals. */
export { showCommandLine } from "./commandLine.ts";
export { ConsoleSocket } from "./consoleSocket.ts";
export type { ExitStatus } from "./exitWatcher.ts";
export { keepDescriptors, leaveSessionKeyring } from "./inheritance.ts";
export { endWithParent } from "./parentDeath.ts";
export { makeFifo, makePipe, type PipeEnds } from "./pipes.ts";
export type { PollWatcher } from "./pollWatcher.ts";
export { findProgram, ProgramError } from "./program.ts";
export { openPty, type Pty, resizePty } from "./pty.ts";
export type { NamespaceKind, SpawnRequest } from "./request.ts";
export { capabilityNames, permittedCapabilities } from "./rights.ts";
export { type Child, Spawner, type SpawnerOptions } from "./spawner.ts";
export { Spool } from "./spool.ts";
