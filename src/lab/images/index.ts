/** The images of the clusters on this machine. */
export { StageKeeper } from "./keeper.ts";
export { openImageStore } from "./open.ts";
export { type ImageFolders, ImageSupply } from "./supply.ts";
