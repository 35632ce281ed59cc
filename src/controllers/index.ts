export type { ControllerDeps, ControllerHealth, ControllerOptions } from "./context.ts";
export { type Controllers, startControllers, type StartControllers } from "./start.ts";
export { schedulerName } from "./scheduler/controller.ts";
