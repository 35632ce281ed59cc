import type { V1Namespace } from "@kubernetes/client-node";
import { cloneJson } from "../object.ts";
import { columns, defineKind } from "./define.ts";
import { allVerbs, type Stored } from "./definition.ts";
import { dnsLabel } from "./names.ts";
import { age } from "./print.ts";

type Namespace = Stored<V1Namespace>;

/** core/v1 Namespace. Deletion waits for spec.finalizers, which the namespace controller empties by /finalize. */
export const namespace = defineKind<Namespace>({
  group: "",
  kind: "Namespace",
  plural: "namespaces",
  type: "core.v1.Namespace",
  shortNames: ["ns"],
  namespaced: false,
  status: true,
  generation: false,
  verbs: allVerbs.filter((verb) => verb !== "deletecollection"),
  subresources: { finalize: { kind: "Namespace", verbs: ["update"] } },
  nameRule: dnsLabel,
  columns: columns("Name", "Status", "Age"),
  row: (o, now) => [o.metadata.name, o.status?.phase ?? "", age(o.metadata.creationTimestamp, now)],
  selectableFields: ["status.phase"],
  selectable: (o) => ({ "status.phase": o.status?.phase ?? "" }),
  deletion: {
    keeps: (o) => (o.spec?.finalizers?.length ?? 0) > 0,
    begin(o) {
      // Upstream's own way to delete a namespace knows no grace.
      delete o.metadata.deletionGracePeriodSeconds;
      o.status = { ...o.status, phase: "Terminating" };
    },
  },
  prepareCreate(o) {
    o.spec = { finalizers: ["kubernetes"] };
    o.status = { phase: "Active" };
    o.metadata.labels = { ...o.metadata.labels, "kubernetes.io/metadata.name": o.metadata.name };
  },
  prepareUpdate(o, old) {
    // Only /finalize changes the finalizers.
    o.spec = cloneJson(old.spec ?? {});
    o.metadata.labels = { ...o.metadata.labels, "kubernetes.io/metadata.name": o.metadata.name };
  },
});
