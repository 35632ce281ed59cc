export type { ControllerDeps, ControllerHealth, ControllerOptions } from "./context.ts";
export { schedulerName } from "./scheduler/controller.ts";
export { type Controllers, type StartControllers, startControllers } from "./start.ts";
