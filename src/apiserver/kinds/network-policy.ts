import type { V1IPBlock, V1NetworkPolicy } from "@kubernetes/client-node";
import { cidrContains, parseCidr } from "#base/ip.ts";
import type { FieldErrors } from "../errors.ts";
import { validateLabelSelector } from "./checks.ts";
import { badCidr, isCidr } from "./cidr.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { portName, portNumber } from "./names.ts";
import { age, selectorText } from "./print.ts";

/** networking.k8s.io/v1 NetworkPolicy. */
export const networkPolicy = defineKind<Stored<V1NetworkPolicy>>({
  group: "networking.k8s.io",
  kind: "NetworkPolicy",
  plural: "networkpolicies",
  type: "networking.v1.NetworkPolicy",
  shortNames: ["netpol"],
  generation: true,
  columns: columns("Name", "Pod-Selector", "Age"),
  row: (o, now) => [o.metadata.name, selectorText(o.spec?.podSelector), age(o.metadata.creationTimestamp, now)],
  defaults(o) {
    const spec = (o.spec ??= { podSelector: {} });
    spec.podSelector ??= {};
    spec.policyTypes ??= spec.egress?.length ? ["Ingress", "Egress"] : ["Ingress"];
    for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) {
      for (const port of rule.ports ?? []) port.protocol ??= "TCP";
    }
  },
  validate: validatePolicy,
});

function validatePolicy(o: Stored<V1NetworkPolicy>, errors: FieldErrors): void {
  validateLabelSelector(o.spec?.podSelector, "spec.podSelector", errors);
  const rules = [
    ...(o.spec?.ingress ?? []).map((r, i) => ({
      path: `spec.ingress[${i}]`,
      ports: r.ports,
      field: "from",
      peers: (r as unknown as { from?: typeof r._from }).from,
    })),
    ...(o.spec?.egress ?? []).map((r, i) => ({ path: `spec.egress[${i}]`, ports: r.ports, field: "to", peers: r.to })),
  ];
  for (const { path, ports, field, peers } of rules) {
    ports?.forEach((port, i) => {
      const at = `${path}.ports[${i}]`;
      if (!["SCTP", "TCP", "UDP"].includes(port.protocol ?? ""))
        errors.unsupported(`${at}.protocol`, port.protocol, ["SCTP", "TCP", "UDP"]);
      if (typeof port.port === "number")
        for (const p of portNumber(port.port)) errors.invalid(`${at}.port`, port.port, p);
      if (typeof port.port === "string")
        for (const p of portName(port.port)) errors.invalid(`${at}.port`, port.port, p);
      if (port.endPort === undefined) return;
      if (port.port === undefined) errors.required(`${at}.port`, "must be specified when `endPort` is specified");
      else if (typeof port.port === "string")
        errors.invalid(`${at}.endPort`, port.endPort, "may not be specified when `port` is non-numeric");
      // It is the port that upstream shows here.
      else if (port.endPort < Number(port.port))
        errors.invalid(`${at}.endPort`, port.port, "must be greater than or equal to `port`");
    });
    peers?.forEach((peer, i) => {
      const at = `${path}.${field}[${i}]`;
      if (Object.keys(peer).length === 0) errors.required(at, "must specify a peer");
      validateLabelSelector(peer.podSelector, `${at}.podSelector`, errors);
      validateLabelSelector(peer.namespaceSelector, `${at}.namespaceSelector`, errors);
      if (!peer.ipBlock) return;
      if (peer.podSelector || peer.namespaceSelector)
        errors.forbidden(at, "may not specify both ipBlock and another peer");
      validateBlock(peer.ipBlock, `${at}.ipBlock`, errors);
    });
  }
  validateTypes(o.spec?.policyTypes ?? [], errors);
}

function validateTypes(types: readonly string[], errors: FieldErrors): void {
  if (types.length > 2) return errors.invalid("spec.policyTypes", types, "may not specify more than two policyTypes");
  types.forEach((type, i) => {
    if (type !== "Ingress" && type !== "Egress")
      errors.unsupported(`spec.policyTypes[${i}]`, type, ["Egress", "Ingress"]);
  });
}

function validateBlock({ cidr, except }: V1IPBlock, path: string, errors: FieldErrors): void {
  if (!cidr) {
    errors.required(`${path}.cidr`);
    return;
  }
  if (!isCidr(cidr)) {
    errors.invalid(`${path}.cidr`, cidr, badCidr);
    return;
  }
  const whole = parseCidr(cidr);
  except?.forEach((text, i) => {
    const at = `${path}.except[${i}]`;
    if (!isCidr(text)) errors.invalid(at, text, badCidr);
    else {
      const part = parseCidr(text);
      if (!cidrContains(whole, part) || part.prefix <= whole.prefix)
        errors.invalid(at, text, "must be a strict subset of `cidr`");
    }
  });
}
