/** Mounts and root file systems. */
export { makeBeneath, openBeneath } from "./beneath.ts";
export {
  type Mount,
  MS,
  makePrivate,
  mount,
  mountHere,
  mountRoot,
  pivotRoot,
  type RootPlan,
  unmount,
} from "./mounts.ts";
export { resolveInside } from "./resolve.ts";
export { syncFilesystem } from "./sync.ts";
