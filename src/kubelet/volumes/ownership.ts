import { chmodSync, lchownSync, lstatSync, readdirSync } from "node:fs";
import { errorMessage } from "#base/errors.ts";
import { VolumeError } from "./payload.ts";

/** Bits that a volume's files and folders get for its group (pkg/volume/volume_linux.go). */
const READ_WRITE = 0o660;
const READ_ONLY = 0o440;
const FOLDER = 0o2110;

/**
 * Gives a volume to a group, as fsGroup says: files and folders belong to it and can be used by it, and what is made
 * in them belongs to it too.
 * @throws VolumeError where the group does not exist in the user namespace
 */
export function giveToGroup(path: string, group: number, readOnly: boolean): void {
  try {
    give(path, group, readOnly ? READ_ONLY : READ_WRITE);
  } catch (error) {
    throw new VolumeError(`applyFSGroup failed for group ${group}: ${errorMessage(error)}`);
  }
}

function give(path: string, group: number, bits: number): void {
  const stat = lstatSync(path);
  if (stat.gid !== group) lchownSync(path, stat.uid, group);
  if (stat.isSymbolicLink()) return;
  const wanted = (stat.mode & 0o7777) | bits | (stat.isDirectory() ? FOLDER : 0);
  if (wanted !== (stat.mode & 0o7777)) chmodSync(path, wanted);
  if (stat.isDirectory()) for (const name of readdirSync(path)) give(`${path}/${name}`, group, bits);
}
