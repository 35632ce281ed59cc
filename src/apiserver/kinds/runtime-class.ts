import type { V1RuntimeClass } from "@kubernetes/client-node";
import { parseQuantity } from "#base/quantity.ts";
import { notNegative, validateTolerations } from "./checks.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { immutable, validateLabels } from "./metadata.ts";
import { dnsLabel } from "./names.ts";
import { age } from "./print.ts";

/** node.k8s.io/v1 RuntimeClass. A node runs the pods of handlers that it has: podwire and crun. */
export const runtimeClass = defineKind<Stored<V1RuntimeClass>>({
  group: "node.k8s.io",
  kind: "RuntimeClass",
  plural: "runtimeclasses",
  type: "node.v1.RuntimeClass",
  unconditionalUpdate: false,
  createOnUpdate: true,
  namespaced: false,
  columns: columns("Name", "Handler", "Age"),
  row: (o, now) => [o.metadata.name, o.handler, age(o.metadata.creationTimestamp, now)],
  validate(o, errors) {
    for (const problem of dnsLabel(o.handler ?? "")) errors.invalid("handler", o.handler ?? "", problem);
    for (const [name, value] of Object.entries(o.overhead?.podFixed ?? {})) {
      if (parseQuantity(value).unscaled < 0n) errors.invalid(`overhead.podFixed.${name}`, value, notNegative);
    }
    validateLabels(o.scheduling?.nodeSelector ?? {}, "scheduling.nodeSelector", errors);
    validateTolerations(o.scheduling?.tolerations, "scheduling.tolerations", errors);
  },
  validateUpdate: (o, old, errors) => immutable(o.handler, old.handler, "handler", errors),
});
