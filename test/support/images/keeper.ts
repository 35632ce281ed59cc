import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { hexOf, type ImageStore, type LayerKeeper, unpackLayer } from "#images/index.ts";

/** Keeps layers with the ids of the test itself: what the program in its own namespaces does. */
export function plainKeeper(store: ImageStore): LayerKeeper {
  const { lab, layers } = store.layout;
  return {
    async unpack({ blob, packing, diffId }) {
      for (const folder of [layers, join(lab, "drafts")]) mkdirSync(folder, { recursive: true });
      const draft = join(lab, "drafts", blob);
      await unpackLayer({ file: join(lab, "in", blob), packing, diffId, folder: draft });
      const target = join(layers, hexOf(diffId));
      if (existsSync(target)) rmSync(draft, { recursive: true });
      else renameSync(draft, target);
    },
    async remove(names) {
      for (const name of names) rmSync(join(layers, name), { recursive: true });
      for (const folder of ["drafts", "in"]) rmSync(join(lab, folder), { recursive: true, force: true });
    },
  };
}
