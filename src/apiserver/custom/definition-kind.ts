import { columns, defineKind } from "../kinds/define.ts";
import type { Kind } from "../kinds/definition.ts";
import type { Dict } from "../object.ts";
import { decodeDefinition } from "./decode.ts";
import { validateDefinition, validateDefinitionUpdate, validateNames } from "./definition-validate.ts";
import { type Crd, type CrdStatus, cleanupFinalizer, withCondition } from "./model.ts";

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** apiextensions.k8s.io/v1 CustomResourceDefinition. */
export const customResourceDefinition: Kind = defineKind<Crd>({
  group: "apiextensions.k8s.io",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  type: "apiextensions.v1.CustomResourceDefinition",
  unconditionalUpdate: false,
  shortNames: ["crd", "crds"],
  categories: ["api-extensions"],
  namespaced: false,
  status: true,
  columns: columns("Name", "Created At").map((c) => (c.name === "Name" ? c : { ...c, type: "date" })),
  row: (o) => [o.metadata.name, o.metadata.creationTimestamp],
  decode: (schema, value, unknown) =>
    decodeDefinition(schema, "apiextensions.v1.CustomResourceDefinition", value, unknown),
  defaults,
  prepareCreate(crd) {
    crd.status = { acceptedNames: { plural: "", kind: "" }, storedVersions: storageVersions(crd) };
  },
  prepareUpdate(crd) {
    const stored = crd.status?.storedVersions ?? [];
    const added = storageVersions(crd).filter((v) => !stored.includes(v));
    if (added.length > 0) crd.status = { ...crd.status, storedVersions: [...stored, ...added] };
  },
  validate: (crd, errors, context) => validateDefinition(crd, errors, context),
  validateUpdate(crd, old, errors) {
    validateDefinitionUpdate(crd, old, errors);
    const accepted = crd.status?.acceptedNames;
    if (accepted) validateNames(accepted, "status.acceptedNames", errors);
  },
  deletion: { begin: beginCleanup },
});

function defaults(crd: Crd): void {
  const spec = crd.spec as Writable<Crd["spec"]> | undefined;
  if (!spec) return;
  const names = { ...(spec.names ?? { plural: "", kind: "" }) };
  if (names.kind) {
    names.singular ||= names.kind.toLowerCase();
    names.listKind ||= `${names.kind}List`;
  }
  spec.names = names;
  spec.conversion ??= { strategy: "None" };
  const service = ((spec.conversion.webhook as Dict | undefined)?.clientConfig as Dict | undefined)?.service;
  if (service) (service as { port?: number }).port ??= 443;
}

function storageVersions(crd: Crd): string[] {
  return (crd.spec?.versions ?? []).filter((v) => v.storage).map((v) => v.name);
}

/** The objects go first; until then the finalizer keeps the definition. */
function beginCleanup(crd: Crd): void {
  const finalizers = crd.metadata.finalizers ?? [];
  if (!finalizers.includes(cleanupFinalizer)) crd.metadata.finalizers = [...finalizers, cleanupFinalizer];
  const status: CrdStatus = crd.status ?? {};
  const pending = {
    type: "Terminating",
    status: "True",
    reason: "InstanceDeletionPending",
    message: "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
  };
  const now = crd.metadata.deletionTimestamp ?? "";
  crd.status = { ...status, conditions: withCondition(status.conditions ?? [], pending, now) };
}
