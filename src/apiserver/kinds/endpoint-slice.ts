import type { V1Endpoint, V1EndpointSlice } from "@kubernetes/client-node";
import { tryParseIp } from "#base/ip.ts";
import type { FieldErrors } from "../errors.ts";
import { form, oneOf } from "./checks.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { immutable } from "./metadata.ts";
import { dnsLabel, dnsSubdomain, portNumber, qualifiedName } from "./names.ts";
import { badIp } from "./podspec/names.ts";
import { age, shortList } from "./print.ts";
import { specialUses } from "./service-validate.ts";

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
    if ((o.endpoints?.length ?? 0) > 1000) errors.tooMany("endpoints", o.endpoints?.length ?? 0, 1000);
    o.endpoints?.forEach((endpoint, i) => {
      validateEndpoint(o.addressType, endpoint, `endpoints[${i}]`, errors);
    });
    validatePorts(o, errors);
  },
  validateUpdate: (o, old, errors) => immutable(o.addressType, old.addressType, "addressType", errors),
});

function validateEndpoint(type: string, endpoint: V1Endpoint, path: string, errors: FieldErrors): void {
  const addresses = endpoint.addresses ?? [];
  if (addresses.length === 0) errors.required(`${path}.addresses`, "must contain at least 1 address");
  if (addresses.length > 100) errors.tooMany(`${path}.addresses`, addresses.length, 100);
  addresses.forEach((address, j) => {
    const at = `${path}.addresses[${j}]`;
    if (type === "FQDN") {
      form(address, dnsSubdomain(address), at, errors);
      return;
    }
    const ip = tryParseIp(address);
    if (!ip) errors.invalid(at, address, badIp);
    else if (ip.family !== (type === "IPv6" ? 6 : 4)) errors.invalid(at, address, `must be an ${type} address`);
    if (ip) for (const why of specialUses(ip)) errors.invalid(at, address, why);
  });
  if (endpoint.nodeName !== undefined)
    form(endpoint.nodeName, dnsSubdomain(endpoint.nodeName), `${path}.nodeName`, errors);
  if (endpoint.hostname !== undefined) form(endpoint.hostname, dnsLabel(endpoint.hostname), `${path}.hostname`, errors);
}

function validatePorts(o: EndpointSlice, errors: FieldErrors): void {
  if ((o.ports?.length ?? 0) > 20000) errors.tooMany("ports", o.ports?.length ?? 0, 20000);
  const names = new Set<string>();
  o.ports?.forEach((port, i) => {
    const path = `ports[${i}]`;
    const name = port.name ?? "";
    if (name) form(name, dnsLabel(name), `${path}.name`, errors);
    if (names.has(name)) errors.duplicate(`${path}.name`, name);
    names.add(name);
    oneOf(port.protocol, ["SCTP", "TCP", "UDP"], `${path}.protocol`, errors);
    if (port.port !== undefined)
      for (const problem of portNumber(port.port)) errors.invalid(`${path}.port`, port.port, problem);
    if (port.appProtocol !== undefined)
      form(port.appProtocol, qualifiedName(port.appProtocol), `${path}.appProtocol`, errors);
  });
}
