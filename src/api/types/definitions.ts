import type { Condition, KubeObject } from "./meta.ts";

/** apiextensions.k8s.io/v1 CustomResourceDefinition, as far as controllers look at it. */
export interface CustomResourceDefinition extends KubeObject {
  readonly spec: {
    readonly group: string;
    readonly scope: string;
    readonly names: { readonly plural: string; readonly kind: string };
    readonly versions: readonly { readonly name: string; readonly served: boolean; readonly storage: boolean }[];
  };
  readonly status?: {
    readonly acceptedNames?: { readonly plural: string; readonly kind: string };
    readonly conditions?: readonly Condition[];
  };
}
