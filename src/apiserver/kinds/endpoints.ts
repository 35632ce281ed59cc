import type { V1Endpoints } from "@kubernetes/client-node";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { age, shortList } from "./print.ts";

type Endpoints = Stored<V1Endpoints>;

/** core/v1 Endpoints. */
export const endpoints = defineKind<Endpoints>({
  group: "",
  kind: "Endpoints",
  plural: "endpoints",
  type: "core.v1.Endpoints",
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
      subset.addresses?.forEach((a, j) => {
        if (!a.ip) errors.required(`${path}.addresses[${j}].ip`);
      });
    });
  },
});

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
