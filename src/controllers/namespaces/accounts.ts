import {
  type ConfigMap,
  isAlreadyExists,
  isNamespaceTerminating,
  isNotFound,
  type Namespace,
  resources,
} from "#api/index.ts";
import { equalJson } from "#base/json.ts";
import type { ControllerContext } from "../context.ts";

/** The ConfigMap by which pods know the cluster's CA. */
export const rootCaName = "kube-root-ca.crt";
const rootCaDescription =
  "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the " +
  "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

/** Every namespace has a ServiceAccount `default` and the ConfigMap `kube-root-ca.crt`. */
export function accountsController(context: ControllerContext): void {
  const namespaces = context.informer(resources.namespaces);
  const only = (name: string) => ({ fieldSelector: `metadata.name=${name}` });
  const accounts = context.informer(resources.serviceAccounts, only("default"));
  const rootCas = context.informer(resources.configMaps, only(rootCaName));
  const data = { "ca.crt": context.options.clusterCaPem };
  const { client } = context;

  const queue = context.control({
    name: "namespace-accounts",
    needs: [namespaces, accounts, rootCas],
    handle: async (name) => {
      const namespace = namespaces.get(name);
      if (!namespace || isTerminating(namespace)) return;
      const metadata = { namespace: name };
      const account = accounts.get(`${name}/default`);
      const rootCa = rootCas.get(`${name}/${rootCaName}`);
      try {
        if (!account) {
          const object = { metadata: { ...metadata, name: "default" } };
          accounts.assume(await client.create(resources.serviceAccounts, object));
        }
        const annotations = { "kubernetes.io/description": rootCaDescription };
        const wanted: ConfigMap = { metadata: { ...metadata, name: rootCaName, annotations }, data };
        if (!rootCa) rootCas.assume(await client.create(resources.configMaps, wanted));
        else if (!equalJson(rootCa.data, data)) {
          rootCas.assume(await client.update(resources.configMaps, { ...rootCa, data }));
        }
      } catch (error) {
        if (isNotFound(error) || isNamespaceTerminating(error)) return;
        // The watch will bring what somebody else created; until then look once more.
        if (isAlreadyExists(error)) return 1000;
        throw error;
      }
    },
  });
  namespaces.onChange(({ object }) => queue.add(object.metadata.name));
  accounts.onChange(({ object }) => queue.add(object.metadata.namespace ?? ""));
  rootCas.onChange(({ object }) => queue.add(object.metadata.namespace ?? ""));
}

/** Whether a namespace is being deleted. */
export function isTerminating(namespace: Namespace): boolean {
  return namespace.metadata.deletionTimestamp !== undefined || namespace.status?.phase === "Terminating";
}
