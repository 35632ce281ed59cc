import type { V1Service, V1ServiceSpec } from "@kubernetes/client-node";
import { equalJson } from "#base/json.ts";
import { FieldErrors } from "../errors.ts";
import type { Stored } from "./definition.ts";

type Family = "IPv4" | "IPv6";
const familyOf = (ip: string): Family => (ip.includes(":") ? "IPv6" : "IPv4");
const other = (family: Family): Family => (family === "IPv4" ? "IPv6" : "IPv4");
const path = "spec.ipFamilyPolicy";

/**
 * Completes ipFamilyPolicy and ipFamilies, and takes the second address away when a Service becomes single-stack.
 * Source: initIPFamilyFields of kube-apiserver's Service storage, with its messages.
 * @param configured the cluster's families, the default first
 * @throws StatusError 422
 */
export function chooseFamilies(
  object: Stored<V1Service>,
  oldObject: Stored<V1Service> | undefined,
  configured: readonly Family[],
): void {
  const spec = object.spec as V1ServiceSpec;
  const old = oldObject?.spec as V1ServiceSpec | undefined;
  const errors = new FieldErrors();
  const refuse = () => errors.throwIfAny("Service", "", object.metadata.name);
  const freelyDual = spec.clusterIP === "None" && Object.keys(spec.selector ?? {}).length === 0;
  // Nobody knows the endpoints of a headless Service without a selector: they may be of both families.
  spec.ipFamilyPolicy ??= old?.ipFamilyPolicy ?? (freelyDual ? "RequireDualStack" : "SingleStack");
  if (old) applyReduction(spec, old, errors);
  checkCounts(spec, errors);
  inferFamilies(spec, configured, errors);
  refuse();
  if (freelyDual) {
    if (!spec.ipFamilies?.length) spec.ipFamilies = [configured[0] ?? "IPv4"];
    addSecond(spec);
    return;
  }
  if (spec.ipFamilyPolicy === "RequireDualStack" && configured.length < 2)
    errors.invalid(path, spec.ipFamilyPolicy, "this cluster is not configured for dual-stack services");
  for (const [i, family] of (spec.ipFamilies ?? []).entries())
    if (!configured.includes(family as Family))
      errors.invalid(`spec.ipFamilies[${i}]`, family, "not configured on this cluster");
  refuse();
  if (!spec.ipFamilies?.length) spec.ipFamilies = [configured[0] ?? "IPv4"];
  if (configured.length === 2) addSecond(spec);
}

function addSecond(spec: V1ServiceSpec): void {
  const [first, second] = spec.ipFamilies as Family[];
  if (spec.ipFamilyPolicy !== "SingleStack" && first && !second) spec.ipFamilies = [first, other(first)];
}

/** An update to SingleStack lets the second family go; any other update must not take it away. */
function applyReduction(spec: V1ServiceSpec, old: V1ServiceSpec, errors: FieldErrors): void {
  const [ips, oldIps] = [spec.clusterIPs ?? [], old.clusterIPs ?? []];
  const [families, oldFamilies] = [spec.ipFamilies ?? [], old.ipFamilies ?? []];
  if (spec.ipFamilyPolicy === "SingleStack") {
    if (equalJson(ips, oldIps) && ips.length > 1) spec.clusterIPs = ips.slice(0, 1);
    if (equalJson(families, oldFamilies) && families.length > 1) spec.ipFamilies = families.slice(0, 1);
    return;
  }
  const reduced = (now: readonly string[], before: readonly string[]) =>
    now.length > 0 && before.length === 2 && now.length === 1 && now[0] === before[0];
  if (reduced(ips, oldIps))
    errors.invalid(path, spec.ipFamilyPolicy, "must be 'SingleStack' to release the secondary cluster IP");
  if (reduced(families, oldFamilies))
    errors.invalid(path, spec.ipFamilyPolicy, "must be 'SingleStack' to release the secondary IP family");
}

function checkCounts(spec: V1ServiceSpec, errors: FieldErrors): void {
  if (spec.ipFamilyPolicy !== "SingleStack") return;
  const text = (what: string) => `must be 'RequireDualStack' or 'PreferDualStack' when multiple ${what} are specified`;
  if (spec.clusterIPs?.length === 2) errors.invalid(path, spec.ipFamilyPolicy, text("cluster IPs"));
  if (spec.ipFamilies?.length === 2) errors.invalid(path, spec.ipFamilyPolicy, text("IP families"));
}

/** Addresses that were asked for say their families. */
function inferFamilies(spec: V1ServiceSpec, configured: readonly Family[], errors: FieldErrors): void {
  for (const [i, ip] of (spec.clusterIPs ?? []).entries()) {
    if (ip === "None") return;
    const family = familyOf(ip);
    if (spec.ipFamilies?.[i]) continue;
    if (!configured.includes(family))
      errors.invalid(`spec.clusterIPs[${i}]`, spec.clusterIPs, `${family} is not configured on this cluster`);
    else spec.ipFamilies = [...(spec.ipFamilies ?? []), family];
  }
}
