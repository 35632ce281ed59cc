/** Images on the disk. */
export type { ImageRecord, LayerRecord } from "./records.ts";
export { ImageStore, type LayerKeeper, type Removed, shownName } from "./store.ts";
export type { ClusterUses } from "./uses.ts";
