import type { V1PodTemplate } from "@kubernetes/client-node";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { defaultPodTemplate } from "./pod-defaults.ts";
import { templateWarnings, validatePodTemplate } from "./podspec/index.ts";
import { age, containerColumns, labelText } from "./print.ts";

/** core/v1 PodTemplate, stored. */
export const podTemplate = defineKind<Stored<V1PodTemplate>>({
  group: "",
  kind: "PodTemplate",
  plural: "podtemplates",
  type: "core.v1.PodTemplate",
  columns: columns("Name", "Containers", "Images", "Pod Labels", "Age"),
  row: (o, now) => [
    o.metadata.name,
    ...containerColumns(o.template as never),
    labelText(o.template?.metadata?.labels),
    age(o.metadata.creationTimestamp, now),
  ],
  defaults: (o) => defaultPodTemplate(o.template),
  warnings: (o) => templateWarnings(o.template, "template"),
  validate: (o, errors) => validatePodTemplate(o.template, "template", errors),
});

/** A kind that is a question: created, answered, never stored. */
export interface Review {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly namespaced: boolean;
  readonly type: string;
}

const review = (group: string, kind: string, type: string, namespaced = false): Review => ({
  group,
  version: "v1",
  kind,
  plural: `${kind.toLowerCase()}s`,
  singular: kind.toLowerCase(),
  namespaced,
  type,
});

/** The questions that are answered by rest/reviews.ts, and Binding, which is carried out by rest/binding.ts. */
export const reviews: readonly Review[] = [
  review("", "Binding", "core.v1.Binding", true),
  review("authentication.k8s.io", "SelfSubjectReview", "authentication.v1.SelfSubjectReview"),
  review("authentication.k8s.io", "TokenReview", "authentication.v1.TokenReview"),
  review("authorization.k8s.io", "LocalSubjectAccessReview", "authorization.v1.LocalSubjectAccessReview", true),
  review("authorization.k8s.io", "SelfSubjectAccessReview", "authorization.v1.SelfSubjectAccessReview"),
  review("authorization.k8s.io", "SelfSubjectRulesReview", "authorization.v1.SelfSubjectRulesReview"),
  review("authorization.k8s.io", "SubjectAccessReview", "authorization.v1.SubjectAccessReview"),
];
