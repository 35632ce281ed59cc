/** The node's object, status and lease. */
export { machineFacts } from "./facts.ts";
export { type MachineFacts, type NodeOptions, nodeObject, nodeStatus, resourcesOf } from "./object.ts";
export { NodeRegistration, type RegistrationDeps } from "./registration.ts";
