/** A cluster as something that runs on machines: files, processes, listeners. */
export { API_LISTENER, apiServerNames, clusterPlan, type PlanOptions, STATE_MOUNT } from "./plan.ts";
