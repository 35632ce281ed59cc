import { lstatSync, readlinkSync } from "node:fs";
import { ImageFault } from "../errors.ts";
import type { LayerLimits } from "./limits.ts";

/** As the kernel's own limit (include/linux/namei.h, MAXSYMLINKS). */
const MAX_LINKS = 40;
const MAX_NAME = 255;

/** A path of an archive as people see it. */
export function shown(path: string): string {
  return JSON.stringify(Buffer.from(path, "latin1").toString("utf8"));
}

/** Refuses an entry of an archive, by its name. */
export function refuseEntry(name: string, why: string): ImageFault {
  return new ImageFault("Refused", `archive entry ${shown(name)}: ${why}`);
}

/**
 * The parts of an entry's name, relative to the layer's root; none for the root itself.
 * @throws ImageFault "Refused" for `..`, and for names that no file system takes
 */
export function partsOf(name: string, limits: LayerLimits, entry = name): string[] {
  if (name.length > limits.path) throw refuseEntry(entry.slice(0, 80), `its name has ${name.length} bytes`);
  if (name.includes("\0")) throw refuseEntry(entry, "its name holds a zero byte");
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw refuseEntry(entry, `${shown(name)} leads out of the root by ".."`);
  if (parts.length > limits.depth) throw refuseEntry(entry, `it lies ${parts.length} folders deep`);
  const long = parts.find((part) => part.length > MAX_NAME);
  if (long) throw refuseEntry(entry, `a part of its name has ${long.length} bytes`);
  return parts;
}

/** A path on this machine of something in a layer. */
export function pathIn(root: string, parts: readonly string[]): Buffer {
  return Buffer.from([Buffer.from(root).toString("latin1"), ...parts].join("/"), "latin1");
}

/**
 * Follows symbolic links of this layer in a folder's path. A relative link that stays inside is followed; one that
 * is absolute or leaves the root is no way for an entry to take: what it means is known in the container alone.
 * @returns the parts of a path in which no link is left; its last parts need not exist
 * @throws ImageFault "Refused"
 */
export function resolveFolder(root: string, parts: readonly string[], entry: string): string[] {
  let pending = [...parts];
  const done: string[] = [];
  for (let links = 0; pending.length; ) {
    const part = pending.shift() as string;
    if (part === "" || part === ".") continue;
    if (part === "..") {
      if (done.pop() === undefined) throw refuseEntry(entry, "it lies behind a symbolic link that leaves the root");
      continue;
    }
    const here = pathIn(root, [...done, part]);
    if (!lstatSync(here, { throwIfNoEntry: false })?.isSymbolicLink()) {
      done.push(part);
      continue;
    }
    if (++links > MAX_LINKS) throw refuseEntry(entry, "it lies behind too many symbolic links");
    const target = readlinkSync(here, "buffer").toString("latin1");
    if (target.startsWith("/"))
      throw refuseEntry(entry, `it lies behind ${shown([...done, part].join("/"))}, an absolute symbolic link`);
    pending = [...target.split("/"), ...pending];
  }
  return done;
}
