import type {
  V1EndpointSlice,
  V1HTTPIngressPath,
  V1Ingress,
  V1IngressBackend,
  V1IngressClass,
  V1IPAddress,
  V1NetworkPolicy,
  V1ServiceCIDR,
} from "@kubernetes/client-node";
import { parseCidr, tryParseIp } from "#base/ip.ts";
import type { FieldErrors } from "../errors.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { immutable } from "./metadata.ts";
import { dns1035Label, dnsSubdomain, portName, portNumber, wildcardSubdomain } from "./names.ts";
import { age, orNone, selectorText, shortList } from "./print.ts";

const group = "networking.k8s.io";

type Ingress = Stored<V1Ingress>;

/** networking.k8s.io/v1 Ingress. */
export const ingress = defineKind<Ingress>({
  group,
  kind: "Ingress",
  plural: "ingresses",
  type: "networking.v1.Ingress",
  shortNames: ["ing"],
  status: true,
  columns: columns("Name", "Class", "Hosts", "Address", "Ports", "Age"),
  row: (o, now) => {
    const hosts = (o.spec?.rules ?? []).map((r) => r.host ?? "").filter(Boolean);
    const addresses = (o.status?.loadBalancer?.ingress ?? []).map((i) => i.ip || i.hostname || "").filter(Boolean);
    return [
      o.metadata.name,
      o.spec?.ingressClassName ?? "<none>",
      hosts.length === 0 ? "*" : shortList(hosts, 3),
      addresses.join(","),
      o.spec?.tls?.length ? "80, 443" : "80",
      age(o.metadata.creationTimestamp, now),
    ];
  },
  defaults(o) {
    o.spec ??= {};
    o.status ??= { loadBalancer: {} };
  },
  prepareCreate(o, context) {
    o.status = { loadBalancer: {} };
    if (o.spec?.ingressClassName || o.metadata.annotations?.["kubernetes.io/ingress.class"]) return;
    // As the DefaultIngressClass admission plugin: the newest class that is marked as the default.
    const classes = context.list("ingressclasses.networking.k8s.io").map((e) => e.object);
    const marked = classes.filter(
      (c) => c.metadata.annotations?.["ingressclass.kubernetes.io/is-default-class"] === "true",
    );
    const newest = marked.sort((a, b) =>
      (a.metadata.creationTimestamp ?? "") < (b.metadata.creationTimestamp ?? "") ? 1 : -1,
    )[0];
    if (newest && o.spec) o.spec.ingressClassName = newest.metadata.name;
  },
  validate: validateIngress,
});

function validateIngress(o: Ingress, errors: FieldErrors): void {
  const spec = o.spec ?? {};
  if (!spec.rules?.length && !spec.defaultBackend) {
    errors.invalid("spec", spec.rules ?? [], "either `defaultBackend` or `rules` must be specified");
  }
  if (spec.defaultBackend) validateBackend(spec.defaultBackend, "spec.defaultBackend", errors);
  if (spec.ingressClassName)
    for (const p of dnsSubdomain(spec.ingressClassName))
      errors.invalid("spec.ingressClassName", spec.ingressClassName, p);
  spec.rules?.forEach((rule, i) => {
    const path = `spec.rules[${i}]`;
    if (rule.host) validateHost(rule.host, `${path}.host`, errors);
    if (rule.http && !rule.http.paths?.length) errors.required(`${path}.http.paths`);
    rule.http?.paths?.forEach((p, j) => {
      validatePath(p, `${path}.http.paths[${j}]`, errors);
    });
  });
  spec.tls?.forEach((tls, i) => {
    tls.hosts?.forEach((host, j) => {
      validateHost(host, `spec.tls[${i}].hosts[${j}]`, errors);
    });
  });
}

function validateHost(host: string, path: string, errors: FieldErrors): void {
  if (tryParseIp(host)) {
    errors.invalid(path, host, "must be a DNS name, not an IP address");
    return;
  }
  for (const p of host.includes("*") ? wildcardSubdomain(host) : dnsSubdomain(host)) errors.invalid(path, host, p);
}

const pathTypes = ["Exact", "ImplementationSpecific", "Prefix"];
const badSequences = ["//", "/./", "/../", "%2f", "%2F"];

function validatePath(p: V1HTTPIngressPath, path: string, errors: FieldErrors): void {
  if (!p.pathType) errors.required(`${path}.pathType`, "pathType must be specified");
  else if (!pathTypes.includes(p.pathType)) errors.unsupported(`${path}.pathType`, p.pathType, pathTypes);
  else if (p.pathType === "ImplementationSpecific") {
    if (p.path && !p.path.startsWith("/")) errors.invalid(`${path}.path`, p.path, "must be an absolute path");
  } else {
    const text = p.path ?? "";
    if (!text.startsWith("/")) errors.invalid(`${path}.path`, text, "must be an absolute path");
    else {
      for (const bad of badSequences)
        if (text.includes(bad)) errors.invalid(`${path}.path`, text, `must not contain '${bad}'`);
      for (const end of ["/..", "/."])
        if (text.endsWith(end)) errors.invalid(`${path}.path`, text, `cannot end with '${end}'`);
    }
  }
  if (p.backend) validateBackend(p.backend, `${path}.backend`, errors);
  else errors.required(`${path}.backend`);
}

function validateBackend(backend: V1IngressBackend, path: string, errors: FieldErrors): void {
  const { service, resource } = backend;
  if (service && resource) errors.invalid(path, "", "cannot set both resource and service backends");
  if (resource) return;
  if (!service) {
    errors.required(path, "resource or service backend is required");
    return;
  }
  if (!service.name) errors.required(`${path}.service.name`);
  else for (const p of dns1035Label(service.name)) errors.invalid(`${path}.service.name`, service.name, p);
  const { name, number } = service.port ?? {};
  if (name && number) errors.invalid(path, "", "cannot set both port name & port number");
  else if (name) for (const p of portName(name)) errors.invalid(`${path}.service.port.name`, name, p);
  else if (number) for (const p of portNumber(number)) errors.invalid(`${path}.service.port.number`, number, p);
  else errors.required(path, "port name or number is required");
}

/** networking.k8s.io/v1 IngressClass. */
export const ingressClass = defineKind<Stored<V1IngressClass>>({
  group,
  kind: "IngressClass",
  plural: "ingressclasses",
  type: "networking.v1.IngressClass",
  namespaced: false,
  generation: true,
  columns: columns("Name", "Controller", "Parameters", "Age"),
  row(o, now) {
    const p = o.spec?.parameters;
    const text = p ? `${p.kind}${p.apiGroup ? `.${p.apiGroup}` : ""}/${p.name}` : "<none>";
    return [o.metadata.name, o.spec?.controller ?? "", text, age(o.metadata.creationTimestamp, now)];
  },
  defaults(o) {
    if (o.spec?.parameters) o.spec.parameters.scope ??= "Cluster";
  },
  validate(o, errors) {
    const controller = o.spec?.controller ?? "";
    if (controller === "") errors.required("spec.controller");
    else if (!/^[^/]+\/.+$/.test(controller))
      errors.invalid("spec.controller", controller, 'must be a domain-prefixed path (such as "acme.io/foo")');
  },
  validateUpdate: (o, old, errors) => immutable(o.spec?.controller, old.spec?.controller, "spec.controller", errors),
});

/** networking.k8s.io/v1 NetworkPolicy. */
export const networkPolicy = defineKind<Stored<V1NetworkPolicy>>({
  group,
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
  const types = o.spec?.policyTypes ?? [];
  types.forEach((type, i) => {
    if (type !== "Ingress" && type !== "Egress")
      errors.unsupported(`spec.policyTypes[${i}]`, type, ["Egress", "Ingress"]);
  });
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
      else if (port.endPort < Number(port.port))
        errors.invalid(`${at}.endPort`, port.endPort, "must be greater than or equal to `port`");
    });
    peers?.forEach((peer, i) => {
      const at = `${path}.${field}[${i}]`;
      if (Object.keys(peer).length === 0) errors.required(at, "must specify a peer");
      if (!peer.ipBlock) return;
      if (peer.podSelector || peer.namespaceSelector)
        errors.forbidden(at, "may not specify both ipBlock and another peer");
      for (const [j, cidr] of [peer.ipBlock.cidr, ...(peer.ipBlock.except ?? [])].entries()) {
        const where = j === 0 ? `${at}.ipBlock.cidr` : `${at}.ipBlock.except[${j - 1}]`;
        if (!isCidr(cidr))
          errors.invalid(where, cidr ?? "", "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
      }
    });
  }
}

function isCidr(text: string | undefined): boolean {
  try {
    return parseCidr(text ?? "") !== undefined;
  } catch {
    return false;
  }
}

type EndpointSlice = Stored<V1EndpointSlice>;

/** discovery.k8s.io/v1 EndpointSlice. */
export const endpointSlice = defineKind<EndpointSlice>({
  group: "discovery.k8s.io",
  kind: "EndpointSlice",
  plural: "endpointslices",
  type: "discovery.v1.EndpointSlice",
  generation: true,
  columns: columns("Name", "AddressType", "Ports", "Endpoints", "Age"),
  row: (o, now) => [
    o.metadata.name,
    o.addressType,
    o.ports?.length
      ? shortList(
          o.ports.map((p) => (p.port === undefined ? "*" : String(p.port))),
          3,
        )
      : "<unset>",
    o.endpoints?.length
      ? shortList(
          o.endpoints.flatMap((e) => e.addresses ?? []),
          3,
        )
      : "<unset>",
    age(o.metadata.creationTimestamp, now),
  ],
  defaults(o) {
    for (const port of o.ports ?? []) {
      port.name ??= "";
      port.protocol ??= "TCP";
    }
  },
  validate(o, errors) {
    const types = ["FQDN", "IPv4", "IPv6"];
    if (!o.addressType) errors.required("addressType");
    else if (!types.includes(o.addressType)) errors.unsupported("addressType", o.addressType, types);
    o.endpoints?.forEach((endpoint, i) => {
      if (!endpoint.addresses?.length) errors.required(`endpoints[${i}].addresses`, "must contain at least 1 address");
      endpoint.addresses?.forEach((address, j) => {
        const family = tryParseIp(address)?.family;
        const fits = o.addressType === "FQDN" ? true : family === (o.addressType === "IPv6" ? 6 : 4);
        if (!fits)
          errors.invalid(`endpoints[${i}].addresses[${j}]`, address, `must be a valid ${o.addressType} address`);
      });
    });
  },
  validateUpdate: (o, old, errors) => immutable(o.addressType, old.addressType, "addressType", errors),
});

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
  validateUpdate: (o, old, errors) => immutable(o.spec?.cidrs, old.spec?.cidrs, "spec.cidrs", errors),
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
  columns: columns("Name", "ParentRef", "Age"),
  row(o, now) {
    const parent = o.spec?.parentRef;
    const path = [parent?.resource, parent?.namespace, parent?.name].filter(Boolean).join("/");
    return [
      o.metadata.name,
      parent?.group ? `${parent.group}/${path}` : path || "<none>",
      age(o.metadata.creationTimestamp, now),
    ];
  },
  validate(o, errors) {
    if (!o.spec?.parentRef?.resource) errors.required("spec.parentRef.resource");
    if (!o.spec?.parentRef?.name) errors.required("spec.parentRef.name");
  },
  validateUpdate: (o, old, errors) => immutable(o.spec, old.spec, "spec", errors),
});
