/** Parts of the node that run in its own processes, shown as mirror pods. */
export { klogDecoder } from "./klog.ts";
export { MirrorPods, type NodeModule, type Shown } from "./mirrors.ts";
export { isMirrorPod, type ModuleSpec, mirrorOf } from "./model.ts";
export { findProcess, type ProcessRun, processRun } from "./process.ts";
export { quiet } from "./quiet.ts";
export { staticModules } from "./static.ts";
