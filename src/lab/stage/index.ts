/** The way into the lab's namespaces. */
export { type IdPlan, planIds, ROOT_LAB_IDS, subidRange } from "./maps.ts";
export { enterStage, LAB_ROOT, labInit, type StageSources, WITHOUT_MACHINE_RIGHTS } from "./stage.ts";
