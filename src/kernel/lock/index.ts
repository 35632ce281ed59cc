/** Locks on files that a killed process gives back. */
export { tryLock } from "./lock.ts";
