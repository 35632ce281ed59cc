/** Services on nftables maps. */
export { type NftablesBackendOptions, nftablesBackend, type TableForm } from "./backend.ts";
export {
  type Layout,
  type LayoutConditions,
  layoutRule,
  SERVICES_TABLE,
  type SetName,
  serviceLayout,
} from "./layout.ts";
export { entryComment, type FrontendPlan, hairpin } from "./plan.ts";
export { type Gate, gateName } from "./treatment.ts";
