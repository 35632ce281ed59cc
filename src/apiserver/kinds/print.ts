import { formatSelector } from "#api/index.ts";

/** Text forms of `kubectl get`, as k8s.io/kubernetes/pkg/printers/internalversion prints them. */

/** A duration in seconds as `5m30s`, `3h`, `2d4h` (apimachinery duration.HumanDuration). */
export function humanDuration(seconds: number): string {
  const s = Math.floor(seconds);
  if (s < -1) return "<invalid>";
  if (s < 0) return "0s";
  if (s < 120) return `${s}s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 10) return s % 60 === 0 ? `${minutes}m` : `${minutes}m${s % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(s / 3600);
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (hours < 192) return hours % 24 === 0 ? `${days}d` : `${days}d${hours % 24}h`;
  if (hours < 24 * 365 * 2) return `${days}d`;
  const years = Math.floor(hours / 24 / 365);
  if (hours < 24 * 365 * 8) return days % 365 === 0 ? `${years}y` : `${years}y${days % 365}d`;
  return `${years}y`;
}

/** Time since a timestamp, `<unknown>` without one. */
export function age(timestamp: unknown, now: number): string {
  if (typeof timestamp !== "string") return "<unknown>";
  return humanDuration((now - Date.parse(timestamp)) / 1000);
}

/** `a=b,c=d`, or `<none>`. */
export function labelText(labels: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([k, v]) => `${k}=${v}`);
  return pairs.length === 0 ? "<none>" : pairs.sort().join(",");
}

type LabelSelector = Parameters<typeof formatSelector>[0];

/** A label selector's text; `<none>` for an empty one, as metav1.FormatLabelSelector. */
export function selectorText(selector: unknown): string {
  return selector ? formatSelector(selector as LabelSelector) || "<none>" : "<none>";
}

/** Items joined by commas, `<none>` without any. */
export function orNone(items: readonly string[]): string {
  return items.length === 0 ? "<none>" : items.join(",");
}

/** The first `max` items and how many more there are: `a,b,c + 2 more...`. */
export function shortList(items: readonly string[], max: number): string {
  if (items.length <= max) return orNone(items);
  return `${items.slice(0, max).join(",")} + ${items.length - max} more...`;
}

/** Addresses of a load balancer, each once, in order (loadBalancerStatusStringer). */
export function balancerAddresses(ingress: readonly { ip?: string; hostname?: string }[] | undefined): string[] {
  return [...new Set((ingress ?? []).map((i) => i.ip || i.hostname || "").filter(Boolean))].sort();
}

/** Names and images of containers, for the wide columns. */
export function containerColumns(
  template: { spec?: { containers?: { name: string; image?: string }[] } } | undefined,
): [string, string] {
  const containers = template?.spec?.containers ?? [];
  return [containers.map((c) => c.name).join(","), containers.map((c) => c.image ?? "").join(",")];
}
