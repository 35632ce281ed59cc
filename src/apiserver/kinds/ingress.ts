import type {
  V1HTTPIngressPath,
  V1Ingress,
  V1IngressBackend,
  V1IngressClass,
  V1IngressClassParametersReference,
} from "@kubernetes/client-node";
import { tryParseIp } from "#base/ip.ts";
import { type FieldErrors, invalid } from "../errors.ts";
import { oneOfOrNone } from "./checks.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { immutable } from "./metadata.ts";
import { dns1035Label, dnsSubdomain, portName, portNumber, wildcardSubdomain } from "./names.ts";
import { age, balancerAddresses, shortList } from "./print.ts";

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
    const addresses = balancerAddresses(o.status?.loadBalancer?.ingress);
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
    const annotated = o.metadata.annotations?.["kubernetes.io/ingress.class"];
    if (annotated && o.spec?.ingressClassName)
      throw invalid("Ingress", group, o.metadata.name, [
        {
          reason: "FieldValueInvalid",
          field: "annotations.kubernetes.io/ingress.class",
          message: `Invalid value: ${JSON.stringify(annotated)}: can not be set when the class field is also set`,
        },
      ]);
    if (o.spec?.ingressClassName || annotated !== undefined || !context.pluginOn("DefaultIngressClass")) return;
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
  warnings: (o, old) =>
    !old && o.metadata.annotations?.["kubernetes.io/ingress.class"] !== undefined
      ? ["annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"]
      : [],
  validate: validateIngress,
});

function validateIngress(o: Ingress, errors: FieldErrors): void {
  const spec = o.spec ?? {};
  if (!spec.rules?.length && !spec.defaultBackend) {
    errors.invalid("spec", spec.rules ?? null, "either `defaultBackend` or `rules` must be specified");
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
    if (o.spec?.parameters) validateParameters(o.spec.parameters, "spec.parameters", errors);
  },
  validateUpdate: (o, old, errors) => immutable(o.spec?.controller, old.spec?.controller, "spec.controller", errors),
});

function validateParameters(p: V1IngressClassParametersReference, path: string, errors: FieldErrors): void {
  if (!p.kind) errors.required(`${path}.kind`);
  if (!p.name) errors.required(`${path}.name`);
  oneOfOrNone(p.scope, ["Cluster", "Namespace"], `${path}.scope`, errors);
  if (p.scope === "Namespace" && !p.namespace)
    errors.required(`${path}.namespace`, "`parameters.scope` is set to 'Namespace'");
  if (p.scope === "Cluster" && p.namespace)
    errors.forbidden(`${path}.namespace`, "`parameters.scope` is set to 'Cluster'");
}
