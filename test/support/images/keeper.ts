import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { hexOf, type ImageStore, type LayerKeeper, unpackLayer } from "#images/index.ts";

/** Keeps layers with the ids of the test itself: what the program in its own namespaces does. */
export function plainKeeper(store: ImageStore): LayerKeeper {
  const { lab, layers } = store.layout;
  return {
    async unpack({ blob, packing, diffId }) {
      mkdirSync(layers, { recursive: true });
      mkdirSync(join(lab, "drafts"), { recursive: true });
      const draft = join(lab, "drafts", blob);
      await unpackLayer({ file: join(lab, "in", blob), packing, diffId, folder: draft });
      renameSync(draft, join(layers, hexOf(diffId)));
    },
    async remove(names) {
      for (const name of names) rmSync(join(layers, name), { recursive: true });
      rmSync(join(lab, "drafts"), { recursive: true, force: true });
    },
  };
}
