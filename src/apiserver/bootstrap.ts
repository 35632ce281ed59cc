import { cidrNth, formatIp, isLoopback, parseCidr } from "#base/ip.ts";
import { bootstrapRoles } from "./auth/bootstrap-roles.ts";
import type { Registry } from "./kinds/registry.ts";
import { type Dict, keyOf } from "./object.ts";
import type { Objects } from "./rest/objects.ts";
import { ownWrite } from "./rest/own-write.ts";
import { addressDraft } from "./services/ledger.ts";
import type { Store } from "./store/index.ts";

/** What the server itself puts into a cluster. */
export interface BootstrapOptions {
  /** Where clients reach this server from inside: endpoint of Service `kubernetes`. */
  readonly advertiseAddress: string;
  readonly securePort: number;
  readonly serviceCidrs: readonly string[];
  /** PEM of whoever signs client certificates: extension servers read it. */
  readonly clientCa?: string;
}

/** Creates what is missing: namespaces, roles, priority classes, Service `kubernetes` with its endpoints. */
export function bootstrap(
  deps: { store: Store; objects: Objects; registry: Registry },
  options: BootstrapOptions,
): void {
  const ensure = (apiVersion: string, kind: string, namespace: string, draft: Dict) => {
    const definition = deps.registry.byKind(apiVersion, kind);
    if (!definition) throw new Error(`no kind ${kind} in ${apiVersion}`);
    const { name } = draft.metadata as { name: string };
    if (deps.store.get(definition.storage, keyOf(namespace, name))) return;
    deps.objects.create(definition, namespace, { apiVersion, kind, ...draft }, ownWrite);
  };
  for (const name of ["kube-system", "kube-public", "kube-node-lease", "default"])
    ensure("v1", "Namespace", "", { metadata: { name } });
  bootstrapRoles(deps, ownWrite);
  if (options.clientCa)
    ensure("v1", "ConfigMap", "kube-system", {
      metadata: { name: "extension-apiserver-authentication" },
      data: { "client-ca-file": options.clientCa },
    });
  ensure("scheduling.k8s.io/v1", "PriorityClass", "", {
    metadata: { name: "system-node-critical" },
    value: 2000001000,
    description: "Used for system critical pods that must not be moved from their current node.",
  });
  ensure("scheduling.k8s.io/v1", "PriorityClass", "", {
    metadata: { name: "system-cluster-critical" },
    value: 2000000000,
    description:
      "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
  });
  ensure("networking.k8s.io/v1", "ServiceCIDR", "", {
    metadata: { name: "kubernetes" },
    spec: { cidrs: [...options.serviceCidrs] },
  });
  ensureApiServices(ensure, deps.registry);
  ensureKubernetesService(ensure, options);
}

/** Each group and version that this server answers for has its APIService, as kube-aggregator registers them. */
function ensureApiServices(ensure: Ensure, registry: Registry): void {
  for (const { group, version, priority } of registry.groups) {
    const versions = registry.groups.filter((g) => g.group === group).map((g) => g.version);
    const versionPriority = group === "" ? 1 : 15 * (versions.length - versions.indexOf(version));
    ensure("apiregistration.k8s.io/v1", "APIService", "", {
      metadata: { name: `${version}.${group}`, labels: { "kube-aggregator.kubernetes.io/automanaged": "onstart" } },
      spec: {
        ...(group ? { group } : {}),
        version,
        groupPriorityMinimum: priority,
        versionPriority,
      },
    });
  }
}

type Ensure = (apiVersion: string, kind: string, namespace: string, draft: Dict) => void;

/** Service `kubernetes` has the first address of the range. */
function ensureKubernetesService(ensure: Ensure, options: BootstrapOptions): void {
  const labels = { component: "apiserver", provider: "kubernetes" };
  const clusterIP = firstAddress(options.serviceCidrs[0] as string);
  ensure(
    "networking.k8s.io/v1",
    "IPAddress",
    "",
    addressDraft(clusterIP, { namespace: "default", name: "kubernetes" }),
  );
  ensure("v1", "Service", "default", {
    metadata: { name: "kubernetes", labels },
    spec: {
      clusterIP,
      ports: [{ name: "https", port: 443, protocol: "TCP", targetPort: options.securePort }],
    },
  });
  // A server that is alone on loopback: nobody can reach it through the Service, and such endpoints are refused.
  if (isLoopback(options.advertiseAddress)) return;
  ensure("v1", "Endpoints", "default", {
    metadata: { name: "kubernetes", labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } },
    subsets: [
      {
        addresses: [{ ip: options.advertiseAddress }],
        ports: [{ name: "https", port: options.securePort, protocol: "TCP" }],
      },
    ],
  });
  ensure("discovery.k8s.io/v1", "EndpointSlice", "default", {
    metadata: { name: "kubernetes", labels: { "kubernetes.io/service-name": "kubernetes" } },
    addressType: options.advertiseAddress.includes(":") ? "IPv6" : "IPv4",
    endpoints: [{ addresses: [options.advertiseAddress], conditions: { ready: true } }],
    ports: [{ name: "https", port: options.securePort, protocol: "TCP" }],
  });
}

/** The first usable address of a range. */
export function firstAddress(cidr: string): string {
  return formatIp(cidrNth(parseCidr(cidr), 1));
}
