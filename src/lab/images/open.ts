import { chownSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { ImageStore } from "#images/index.ts";
import { ROOT_LAB_IDS } from "#lab/stage/index.ts";
import { stateHome } from "#lab/state/index.ts";

/**
 * Opens the images of the user that runs this process, for all clusters of theirs.
 * @throws PodwireError "NewerState"
 */
export function openImageStore(): ImageStore {
  // No cluster can have this name.
  const store = ImageStore.open(join(stateHome(), "_images"));
  for (const name of ["layers", "drafts", "in"]) {
    const path = join(store.layout.lab, name);
    mkdirSync(path, { recursive: true, mode: 0o755 });
    // Of an ordinary user's clusters the first id is that user.
    if (process.getuid?.() === 0) chownSync(path, ROOT_LAB_IDS.first, ROOT_LAB_IDS.first);
  }
  return store;
}
