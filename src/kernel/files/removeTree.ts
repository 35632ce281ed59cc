import { readdir, rename, rm, rmdir, unlink } from "node:fs/promises";

/**
 * Deletes a folder with all that is in it, however deep: programs can make folders in folders whose paths are longer
 * than the kernel takes (PATH_MAX). Each folder is first moved up into the outermost one, so that no path is longer than
 * that one's and two names. What is not there is no error.
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENAMETOOLONG") throw error;
    await flatten(path);
    await rmdir(path);
  }
}

async function flatten(top: string): Promise<void> {
  let moved = 0;
  const pending = [top];
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      if (!entry.isDirectory()) {
        await unlink(path);
        continue;
      }
      const flat = `${top}/${process.pid}-${moved++}`;
      await rename(path, flat);
      pending.push(flat);
    }
    if (folder !== top) await rmdir(folder);
  }
}
