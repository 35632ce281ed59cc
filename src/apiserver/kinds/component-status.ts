import type { V1ComponentStatus } from "@kubernetes/client-node";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";

/** core/v1 ComponentStatus: looked up when asked for, never stored. */
export const componentStatus = defineKind<Stored<V1ComponentStatus>>({
  group: "",
  kind: "ComponentStatus",
  plural: "componentstatuses",
  type: "core.v1.ComponentStatus",
  shortNames: ["cs"],
  namespaced: false,
  verbs: ["get", "list"],
  warning: "v1 ComponentStatus is deprecated in v1.19+",
  columns: columns("Name", "Status", "Message", "Error"),
  row(o) {
    const healthy = o.conditions?.find((c) => c.type === "Healthy");
    const status = healthy?.status === "True" ? "Healthy" : healthy?.status === "False" ? "Unhealthy" : "Unknown";
    return [o.metadata.name, status, healthy?.message ?? "", healthy?.error ?? ""];
  },
});
