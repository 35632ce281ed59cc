import type { Taint, Toleration } from "#api/index.ts";
import { isTolerated } from "../scheduler/terms.ts";

/**
 * How long a pod stays on a node with these NoExecute taints, in ms since it was affected: 0 when one is not tolerated,
 * the shortest tolerationSeconds of the tolerations in use, undefined when it may stay for ever.
 * Source: kube-controller-manager's taint eviction controller.
 */
export function graceMs(taints: readonly Taint[], tolerations: readonly Toleration[] = []): number | undefined {
  const evicting = taints.filter(({ effect }) => effect === "NoExecute");
  if (evicting.length === 0) return undefined;
  if (evicting.some((taint) => !isTolerated(taint, tolerations))) return 0;
  const used = tolerations.filter((one) => evicting.some((taint) => isTolerated(taint, [one])));
  const seconds = used.flatMap(({ tolerationSeconds }) => (tolerationSeconds === undefined ? [] : [tolerationSeconds]));
  return seconds.length === 0 ? undefined : Math.max(0, Math.min(...seconds)) * 1000;
}

/** When the taints began to act, as far as they say so: in ms since 1970. */
export function taintedSince(taints: readonly Taint[]): number | undefined {
  const times = taints.flatMap(({ effect, timeAdded }) => (effect === "NoExecute" && timeAdded ? [timeAdded] : []));
  const known = times.map((text) => Date.parse(text)).filter((time) => !Number.isNaN(time));
  return known.length === 0 ? undefined : Math.min(...known);
}
