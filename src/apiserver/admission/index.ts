import type { AdmissionCheck } from "../auth/admission.ts";
import type { Store } from "../store/index.ts";
import { limitRanger } from "./limit-ranger.ts";
import { podSecurity } from "./pod-security/plugin.ts";
import type { QuotaCounter } from "./quota/count.ts";
import { resourceQuota } from "./quota/plugin.ts";

/** The admission plugins that look at what objects say, in upstream's order: the quota is last. */
export function objectChecks(store: Store, counter: QuotaCounter): AdmissionCheck[] {
  return [limitRanger(store), podSecurity(store), resourceQuota(store, counter)];
}
