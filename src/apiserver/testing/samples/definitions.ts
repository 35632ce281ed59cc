import type { Sample } from "./sample.ts";

const schema = { openAPIV3Schema: { type: "object", properties: { spec: { type: "object" } } } };
const version = { name: "v1", served: true, storage: true, schema };
const spec = {
  group: "example.com",
  scope: "Namespaced",
  names: { plural: "gadgets", kind: "Gadget" },
  versions: [version],
};

/** Definitions of kinds. */
export const definitionSamples: readonly Sample[] = [
  {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    plural: "customresourcedefinitions",
    namespaced: false,
    name: "gadgets.example.com",
    body: { spec },
    defaulted: {
      spec: { names: { singular: "gadget", listKind: "GadgetList" }, conversion: { strategy: "None" } },
    },
    invalid: [
      [
        { spec: { ...spec, group: "example" } },
        'spec.group: Invalid value: "example": should be a domain with at least one dot',
      ],
      [
        { spec: { ...spec, versions: [{ ...version, storage: false }] } },
        "must have exactly one version marked as storage version",
      ],
      [
        { spec: { ...spec, scope: "Global" } },
        'spec.scope: Unsupported value: "Global": supported values: "Cluster", "Namespaced"',
      ],
      [
        { spec: { ...spec, versions: [{ ...version, schema: {} }] } },
        "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required",
      ],
    ],
    immutable: [{ spec: { scope: "Cluster" } }, 'spec.scope: Invalid value: "Cluster": field is immutable'],
    columns: "Name|Created At",
  },
];
