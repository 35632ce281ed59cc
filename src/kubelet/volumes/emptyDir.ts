import { chmodSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import type { Pod, Volume } from "#api/index.ts";
import { parseQuantity, scaledQuantity } from "#base/quantity.ts";
import { MS, mount, unmount } from "#kernel/mounts/index.ts";

type EmptyDir = NonNullable<Volume["emptyDir"]>;

/** Field of a mount's place in /proc/self/mountinfo (proc_pid_mountinfo(5)), from 0. */
const MOUNT_POINT = 4;
/** Size of the blocks that stat(2) counts. */
const BLOCK = 512;

/** Places of mounts at or below a folder. */
function mountsBelow(folder: string): string[] {
  const places = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[MOUNT_POINT] ?? "");
  return places.filter((place) => place === folder || place.startsWith(`${folder}/`));
}

function bytes(quantity: string): bigint {
  return scaledQuantity(parseQuantity(quantity), 0);
}

/**
 * Makes an empty folder that every user may write to; in memory of its own, as large as it may be, when it asks for
 * that.
 * @returns false when it was there already
 */
export function makeEmptyDir(path: string, { medium, sizeLimit }: EmptyDir): boolean {
  if (existsSync(path) && (medium !== "Memory" || mountsBelow(path).length > 0)) return false;
  mkdirSync(path, { recursive: true });
  if (medium === "Memory") {
    const size = sizeLimit === undefined || bytes(sizeLimit) === 0n ? "" : `size=${bytes(sizeLimit)}`;
    mount("tmpfs", path, "tmpfs", MS.NOSUID | MS.NODEV, size === "" ? null : size);
  }
  // mkdir(2) takes the umask off; users other than root write here too.
  chmodSync(path, 0o777);
  return true;
}

/** Lets go of the memory that folders below one have. */
export function dropEmptyDirs(folder: string): void {
  for (const place of mountsBelow(folder)) unmount(place);
}

/** Bytes that a folder takes. What goes away meanwhile does not count. */
async function usage(path: string): Promise<number> {
  const stat = await lstat(path).catch(() => undefined);
  if (!stat) return 0;
  const own = stat.blocks * BLOCK;
  if (!stat.isDirectory()) return own;
  const names = await readdir(path).catch(() => []);
  let sum = own;
  for (const name of names) sum += await usage(`${path}/${name}`);
  return sum;
}

/**
 * What is to be said of the first volume of a pod that has grown beyond its limit, in upstream's words (pkg/kubelet/
 * eviction/eviction_manager.go); undefined when none has.
 */
export async function overLimit(
  { spec }: Pick<Pod, "spec">,
  pathOf: (volume: string) => string | undefined,
): Promise<string | undefined> {
  for (const { name, emptyDir } of spec.volumes ?? []) {
    const path = pathOf(name);
    if (!hasLimit(emptyDir) || path === undefined) continue;
    if (BigInt(await usage(path)) > bytes(emptyDir.sizeLimit))
      return `Usage of EmptyDir volume "${name}" exceeds the limit "${emptyDir.sizeLimit}". `;
  }
  return undefined;
}

/** Whether a folder's size has to be watched; one in memory cannot grow beyond its limit. */
export function hasLimit(emptyDir: EmptyDir | undefined): emptyDir is EmptyDir & { readonly sizeLimit: string } {
  const { medium, sizeLimit } = emptyDir ?? {};
  return medium !== "Memory" && sizeLimit !== undefined && bytes(sizeLimit) > 0n;
}
