import type { V1LimitRange, V1ResourceQuota } from "@kubernetes/client-node";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { age } from "./print.ts";

/** core/v1 ResourceQuota, stored. */
export const resourceQuota = defineKind<Stored<V1ResourceQuota>>({
  group: "",
  kind: "ResourceQuota",
  plural: "resourcequotas",
  type: "core.v1.ResourceQuota",
  shortNames: ["quota"],
  status: true,
  generation: false,
  columns: columns("Name", "Request", "Limit", "Age"),
  row(o, now) {
    const pairs = Object.entries(o.status?.hard ?? o.spec?.hard ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
    const text = (limits: boolean) =>
      pairs
        .filter(([key]) => key.startsWith("limits.") === limits)
        .map(([key, hard]) => `${key}: ${o.status?.used?.[key] ?? "0"}/${hard}`)
        .join(", ");
    return [o.metadata.name, text(false), text(true), age(o.metadata.creationTimestamp, now)];
  },
});

/** core/v1 LimitRange, stored. */
export const limitRange = defineKind<Stored<V1LimitRange>>({
  group: "",
  kind: "LimitRange",
  plural: "limitranges",
  type: "core.v1.LimitRange",
  shortNames: ["limits"],
  columns: columns("Name", "Created At"),
  row: (o) => [o.metadata.name, o.metadata.creationTimestamp ?? "<unknown>"],
});
