import { cidrNth, formatIp, parseCidr } from "#base/ip.ts";
import { type DefaultRole, defaultRoles } from "./auth/default-roles.ts";
import type { Registry } from "./kinds/registry.ts";
import type { Dict } from "./object.ts";
import { keyOf, type Objects } from "./rest/objects.ts";
import { addressDraft } from "./services/ledger.ts";
import type { Store } from "./store/index.ts";

/** What the server itself puts into a cluster. */
export interface BootstrapOptions {
  /** Where clients reach this server from inside: endpoint of Service `kubernetes`. */
  readonly advertiseAddress: string;
  readonly securePort: number;
  readonly serviceCidrs: readonly string[];
}

const rbacGroup = "rbac.authorization.k8s.io";
const system = { name: "system:apiserver", groups: ["system:masters"] };

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
    const write = { user: system, manager: "kube-apiserver", dryRun: false, subresource: "", warn: () => {} };
    deps.objects.create(definition, namespace, { apiVersion, kind, ...draft }, write);
  };
  for (const name of ["kube-system", "kube-public", "kube-node-lease", "default"])
    ensure("v1", "Namespace", "", { metadata: { name } });
  for (const role of defaultRoles) ensureRole(ensure, role);
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
  ensureKubernetesService(ensure, options);
}

type Ensure = (apiVersion: string, kind: string, namespace: string, draft: Dict) => void;

function ensureRole(ensure: Ensure, role: DefaultRole): void {
  const metadata = {
    name: role.name,
    labels: { ...role.labels },
    annotations: { "rbac.authorization.kubernetes.io/autoupdate": "true" },
  };
  ensure(`${rbacGroup}/v1`, "ClusterRole", "", {
    metadata: { ...metadata },
    rules: structuredClone(role.rules) as unknown as Dict[],
  });
  if (role.boundTo.length === 0) return;
  const subjects = role.boundTo.map((text) => {
    const kind = text.slice(0, text.indexOf(":"));
    const name = text.slice(kind.length + 1);
    if (kind === "sa") return { kind: "ServiceAccount", namespace: name.split("/")[0], name: name.split("/")[1] };
    return { kind: kind === "user" ? "User" : "Group", apiGroup: rbacGroup, name };
  });
  const roleRef = { apiGroup: rbacGroup, kind: "ClusterRole", name: role.name };
  ensure(`${rbacGroup}/v1`, "ClusterRoleBinding", "", { metadata: structuredClone(metadata), subjects, roleRef });
}

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
