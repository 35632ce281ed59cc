import type { V1IPAddress, V1ServiceCIDR } from "@kubernetes/client-node";
import { tryParseIp } from "#base/ip.ts";
import { isCidr } from "./cidr.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { immutable } from "./metadata.ts";
import { age, orNone } from "./print.ts";

const group = "networking.k8s.io";

/** networking.k8s.io/v1 ServiceCIDR. */
export const serviceCidr = defineKind<Stored<V1ServiceCIDR>>({
  group,
  kind: "ServiceCIDR",
  plural: "servicecidrs",
  type: "networking.v1.ServiceCIDR",
  namespaced: false,
  status: true,
  columns: columns("Name", "CIDRs", "Age"),
  row: (o, now) => [o.metadata.name, orNone(o.spec?.cidrs ?? []), age(o.metadata.creationTimestamp, now)],
  validate(o, errors) {
    if (!o.spec?.cidrs?.length) errors.required("spec.cidrs", "at least one CIDR required");
    o.spec?.cidrs?.forEach((cidr, i) => {
      if (!isCidr(cidr))
        errors.invalid(`spec.cidrs[${i}]`, cidr, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
    });
  },
  validateUpdate(o, old, errors) {
    const [now, before] = [o.spec?.cidrs ?? [], old.spec?.cidrs ?? []];
    // A second family may be added, nothing else.
    if (before.length === 1 && now.length === 2) immutable(now[0], before[0], "spec.cidrs[0]", errors);
    else if (before.length !== now.length) immutable(now, before, "spec.cidrs", errors);
    else for (const [i, cidr] of now.entries()) immutable(cidr, before[i], `spec.cidrs[${i}]`, errors);
  },
});

/** networking.k8s.io/v1 IPAddress. */
export const ipAddress = defineKind<Stored<V1IPAddress>>({
  group,
  kind: "IPAddress",
  plural: "ipaddresses",
  type: "networking.v1.IPAddress",
  shortNames: ["ip"],
  namespaced: false,
  generation: true,
  nameRule: (name) => (tryParseIp(name) ? [] : ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]),
  columns: columns("Name", "ParentRef"),
  row(o) {
    const { group = "", resource, namespace, name } = o.spec?.parentRef ?? {};
    const of = [group ? `${resource}.${group}` : resource, namespace, name].filter(Boolean).join("/");
    return [o.metadata.name, of || "<none>"];
  },
  validate(o, errors) {
    if (!o.spec?.parentRef?.resource) errors.required("spec.parentRef.resource");
    if (!o.spec?.parentRef?.name) errors.required("spec.parentRef.name");
  },
  validateUpdate: (o, old, errors) => immutable(o.spec, old.spec, "spec", errors),
});
