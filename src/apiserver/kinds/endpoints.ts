import type { V1EndpointAddress, V1Endpoints } from "@kubernetes/client-node";
import { tryParseIp } from "#base/ip.ts";
import type { FieldErrors } from "../errors.ts";
import { form, oneOf } from "./checks.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { dnsLabel, dnsSubdomain, portNumber } from "./names.ts";
import { badIp } from "./podspec/names.ts";
import { age, shortList } from "./print.ts";
import { specialUses } from "./service-validate.ts";

type Endpoints = Stored<V1Endpoints>;

/** core/v1 Endpoints. */
export const endpoints = defineKind<Endpoints>({
  group: "",
  kind: "Endpoints",
  plural: "endpoints",
  type: "core.v1.Endpoints",
  createOnUpdate: true,
  shortNames: ["ep"],
  warning: "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
  columns: columns("Name", "Endpoints", "Age"),
  row: (o, now) => [o.metadata.name, endpointText(o), age(o.metadata.creationTimestamp, now)],
  defaults(o) {
    for (const subset of o.subsets ?? []) for (const port of subset.ports ?? []) port.protocol ??= "TCP";
  },
  validate(o, errors) {
    o.subsets?.forEach((subset, i) => {
      const path = `subsets[${i}]`;
      if (!subset.addresses?.length && !subset.notReadyAddresses?.length)
        errors.required(path, "must specify `addresses` or `notReadyAddresses`");
      for (const field of ["addresses", "notReadyAddresses"] as const)
        subset[field]?.forEach((a, j) => {
          validateAddress(a, `${path}.${field}[${j}]`, errors);
        });
      subset.ports?.forEach((port, j) => {
        const at = `${path}.ports[${j}]`;
        if (!port.name) {
          if ((subset.ports?.length ?? 0) > 1) errors.required(`${at}.name`);
        } else form(port.name, dnsLabel(port.name), `${at}.name`, errors);
        for (const problem of portNumber(port.port)) errors.invalid(`${at}.port`, port.port ?? 0, problem);
        oneOf(port.protocol, ["SCTP", "TCP", "UDP"], `${at}.protocol`, errors);
      });
    });
  },
});

function validateAddress(a: V1EndpointAddress, path: string, errors: FieldErrors): void {
  const ip = tryParseIp(a.ip ?? "");
  if (!ip) errors.invalid(`${path}.ip`, a.ip ?? "", badIp);
  else for (const why of specialUses(ip)) errors.invalid(`${path}.ip`, a.ip, why);
  if (a.hostname) form(a.hostname, dnsLabel(a.hostname), `${path}.hostname`, errors);
  if (a.nodeName) form(a.nodeName, dnsSubdomain(a.nodeName), `${path}.nodeName`, errors);
}

function endpointText(o: Endpoints): string {
  const items = (o.subsets ?? []).flatMap((subset) => {
    const addresses = subset.addresses ?? [];
    if (!subset.ports?.length) return addresses.map((a) => a.ip);
    return subset.ports.flatMap((port) =>
      addresses.map((a) => (a.ip.includes(":") ? `[${a.ip}]:${port.port}` : `${a.ip}:${port.port}`)),
    );
  });
  return shortList(items, 3);
}
