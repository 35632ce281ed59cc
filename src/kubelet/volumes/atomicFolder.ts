import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";

/** Files of a volume by relative path. */
export type VolumeFiles = ReadonlyMap<string, { readonly data: Uint8Array; readonly mode: number }>;

/** What `..data` leads to: nothing outside of the folder is ever deleted, whoever wrote the link. */
const OWN_NAME = /^\.\.[0-9_]+$/;

/** Whether the folder holds these files, and nothing else. */
function isSame(current: string, files: VolumeFiles): boolean {
  if (!existsSync(current)) return false;
  const held = readdirSync(current, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  if (held.length !== files.size) return false;
  return [...files].every(([path, { data }]) => {
    const file = `${current}/${path}`;
    return existsSync(file) && Buffer.compare(readFileSync(file), data) === 0;
  });
}

/**
 * Writes a volume's files so that readers see either the old set or the new one, never a mix: the set goes into a
 * hidden folder, and one rename of the link `..data` switches over. The names seen are links through `..data`.
 * Source: the layout of Kubernetes' AtomicWriter, which programs that watch their configuration rely on.
 */
export function writeAtomically(folder: string, files: VolumeFiles, now: Date): void {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const current = `${folder}/..data`;
  if (isSame(current, files)) return;
  const before = existsSync(current) ? readlinkSync(current) : undefined;
  if (before !== undefined && !OWN_NAME.test(before)) throw new Error(`${current} leads to ${before}: not ours`);
  const name = `..${now.toISOString().replace(/[-:TZ.]/g, "_")}${process.pid}`;
  for (const [path, file] of files) {
    const target = `${folder}/${name}/${path}`;
    mkdirSync(dirname(target), { recursive: true, mode: 0o755 });
    writeFileSync(target, file.data, { mode: file.mode });
    // The process' umask has taken some of it.
    chmodSync(target, file.mode);
  }
  mkdirSync(`${folder}/${name}`, { recursive: true, mode: 0o755 });
  // A writer that was ended in the middle leaves the first and, below, folders of sets that are not shown.
  rmSync(`${folder}/..data_tmp`, { force: true });
  symlinkSync(name, `${folder}/..data_tmp`);
  renameSync(`${folder}/..data_tmp`, current);
  const names = new Set([...files.keys()].map((path) => path.split("/")[0] ?? ""));
  for (const shown of names)
    if (!existsSync(`${folder}/${shown}`)) symlinkSync(`..data/${shown}`, `${folder}/${shown}`);
  for (const old of readdirSync(folder)) {
    if (OWN_NAME.test(old)) {
      if (old !== name) rmSync(`${folder}/${old}`, { recursive: true, force: true });
    } else if (!old.startsWith("..") && !names.has(old)) rmSync(`${folder}/${old}`);
  }
}
