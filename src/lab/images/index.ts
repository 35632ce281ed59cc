/** The images of the clusters on this machine. */
export { StageKeeper } from "./keeper.ts";
export { imageStorePath } from "./path.ts";
export { type ImageFolders, ImageSupply } from "./supply.ts";
