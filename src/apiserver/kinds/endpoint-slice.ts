import type { V1EndpointSlice } from "@kubernetes/client-node";
import { tryParseIp } from "#base/ip.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { immutable } from "./metadata.ts";
import { age, shortList } from "./print.ts";

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
