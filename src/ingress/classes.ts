import type { Ingress, IngressClass } from "#api/index.ts";

/** Which Ingresses a controller takes as its own. */
export interface ClassOptions {
  /** `--ingress-class`: the value of the old annotation, and the class name used while no IngressClass object exists. */
  readonly ingressClass: string;
  /** `--controller-class`: the spec.controller of the IngressClasses that are ours. */
  readonly controllerClass: string;
  /** `--watch-ingress-without-class`. */
  readonly withoutClass: boolean;
}

/** The annotation that came before spec.ingressClassName. */
export const classAnnotation = "kubernetes.io/ingress.class";

/**
 * Whether an Ingress is ours. spec.ingressClassName counts by its IngressClass' controller; a class without an object
 * counts by its name, since a cluster may run this controller without any IngressClass, as those before 1.18 did.
 */
export function isOurs(ingress: Ingress, classes: readonly IngressClass[], options: ClassOptions): boolean {
  const annotation = ingress.metadata.annotations?.[classAnnotation];
  if (annotation !== undefined && annotation !== "") return annotation === options.ingressClass;
  const name = ingress.spec.ingressClassName;
  if (name === undefined || name === "") return options.withoutClass;
  const found = classes.find((candidate) => candidate.metadata.name === name);
  return found ? found.spec?.controller === options.controllerClass : name === options.ingressClass;
}
