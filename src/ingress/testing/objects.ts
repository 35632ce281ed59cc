import type { HttpIngressPath, Ingress, IngressClass, IngressRule, Service } from "#api/index.ts";
import type { Services } from "../backend.ts";
import { buildModel, type IngressModel, type ModelOptions } from "../model.ts";

/** The options of a controller with no flags. */
export const plainOptions: ModelOptions = {
  ingressClass: "nginx",
  controllerClass: "k8s.io/ingress-nginx",
  withoutClass: true,
  sslRedirect: true,
};

/** `path("/wear", "wear", "Exact")`: a path to the Service of that name, port 80. */
export function path(
  text: string,
  service: string,
  pathType: HttpIngressPath["pathType"] = "Prefix",
  port = 80,
): HttpIngressPath {
  return { path: text, pathType, backend: { service: { name: service, port: { number: port } } } };
}

/** A rule for a host, or for all without one. */
export function rule(host: string | undefined, ...paths: HttpIngressPath[]): IngressRule {
  return { http: { paths }, ...(host === undefined ? {} : { host }) };
}

let serial = 0;

/** An Ingress in namespace app; later ones are younger. nginx annotations by their short names. */
export function ingress(
  rules: readonly IngressRule[],
  annotations: Readonly<Record<string, string>> = {},
  extra: {
    name?: string;
    created?: string;
    spec?: Partial<Ingress["spec"]>;
    annotations?: Record<string, string>;
  } = {},
): Ingress {
  const long = Object.entries(annotations).map(
    ([key, value]) => [`nginx.ingress.kubernetes.io/${key}`, value] as const,
  );
  const number = ++serial;
  const name = extra.name ?? `shop-${number}`;
  return {
    metadata: {
      name,
      namespace: "app",
      uid: `uid-${name}`,
      generation: 1,
      creationTimestamp: extra.created ?? new Date(Date.UTC(2026, 0, 1) + number * 1000).toISOString(),
      annotations: { ...Object.fromEntries(long), ...extra.annotations },
    },
    spec: { rules, ...extra.spec },
  };
}

/** A ClusterIP Service in namespace app. */
export function service(name: string, address: string, port = 80, extra: Partial<Service["spec"]> = {}): Service {
  return {
    metadata: { name, namespace: "app" },
    spec: { type: "ClusterIP", clusterIP: address, ports: [{ name: "http", port, protocol: "TCP" }], ...extra },
  };
}

/** Services by key. */
export function servicesOf(...list: readonly Service[]): Services {
  return new Map(list.map((each) => [`${each.metadata.namespace}/${each.metadata.name}`, each]));
}

/** A model from Ingresses and Services. */
export function modelOf(
  ingresses: readonly Ingress[],
  services: Services,
  options: Partial<ModelOptions> = {},
  classes: readonly IngressClass[] = [],
): IngressModel {
  return buildModel({ ingresses, services, classes }, { ...plainOptions, ...options });
}
