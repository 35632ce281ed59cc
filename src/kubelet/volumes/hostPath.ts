import { existsSync, mkdirSync, type Stats, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Volume } from "#api/index.ts";
import { VolumeError } from "./payload.ts";

/** core/v1 HostPathType: what a path has to be, and how upstream calls it. */
const CHECKS: Readonly<Record<string, { readonly called: string; readonly holds: (stat: Stats) => boolean }>> = {
  Directory: { called: "directory", holds: (stat) => stat.isDirectory() },
  DirectoryOrCreate: { called: "directory", holds: (stat) => stat.isDirectory() },
  File: { called: "file", holds: (stat) => stat.isFile() },
  FileOrCreate: { called: "file", holds: (stat) => stat.isFile() },
  Socket: { called: "socket file", holds: (stat) => stat.isSocket() },
  CharDevice: { called: "character device", holds: (stat) => stat.isCharacterDevice() },
  BlockDevice: { called: "block device", holds: (stat) => stat.isBlockDevice() },
};

function create(path: string, type: string): void {
  if (type === "FileOrCreate") {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, "");
  } else if (type === "" || type === "DirectoryOrCreate") mkdirSync(path, { recursive: true });
}

/** Checks and prepares a path of the node. @throws VolumeError when it is not what it is said to be */
export function hostPath(volume: string, { path, type = "" }: NonNullable<Volume["hostPath"]>): string {
  if (!existsSync(path)) create(path, type);
  const check = CHECKS[type];
  if (!check) return path;
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat && check.holds(stat)) return path;
  const message = `hostPath type check failed: ${path} is not a ${check.called}`;
  throw new VolumeError(`MountVolume.SetUp failed for volume "${volume}" : ${message}`);
}
