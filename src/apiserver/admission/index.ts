import type { PluginCheck } from "../auth/admission.ts";
import type { Store } from "../store/index.ts";
import { limitRanger } from "./limit-ranger.ts";
import { podSecurity } from "./pod-security/plugin.ts";
import type { QuotaCounter } from "./quota/count.ts";
import { resourceQuota } from "./quota/plugin.ts";

/** The admission plugins that look at what objects say, in upstream's order: the quota is last. */
export function objectChecks(store: Store, counter: QuotaCounter): PluginCheck[] {
  return [
    { plugin: "LimitRanger", check: limitRanger(store) },
    { plugin: "PodSecurity", check: podSecurity(store) },
    { plugin: "ResourceQuota", check: resourceQuota(store, counter) },
  ];
}
