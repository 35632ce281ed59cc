import type {
  V1Pod,
  V1PodSpec,
  V1PriorityClass,
  V1RuntimeClass,
  V1ServiceAccount,
  V1Volume,
} from "@kubernetes/client-node";
import { equalJson } from "#base/json.ts";
import { defaultLimits } from "../admission/limit-ranger.ts";
import { forbidden, type StatusError } from "../errors.ts";
import { cloneJson } from "../object.ts";
import type { Stored, WriteContext } from "./definition.ts";
import { randomSuffix } from "./random-name.ts";

type Pod = Stored<V1Pod>;

const podResource = { group: "", plural: "pods" };

/** Where tokens and the root certificate are mounted in every container. */
const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount";

/** What admission plugins add to a new pod, in upstream's order. Throws StatusError 403. */
export function admitPod(object: Pod, spec: V1PodSpec, context: WriteContext): void {
  const { pluginOn } = context;
  if (pluginOn("LimitRanger")) defaultLimits({ metadata: object.metadata, spec }, (resource) => context.list(resource));
  if (pluginOn("DefaultTolerationSeconds")) addTolerations(spec);
  if (pluginOn("Priority")) addPriority(object, spec, context);
  if (pluginOn("RuntimeClass")) addRuntime(object, spec, context);
  if (pluginOn("ServiceAccount")) addServiceAccount(object, spec, context);
}

/** As the DefaultTolerationSeconds admission plugin. */
function addTolerations(spec: V1PodSpec): void {
  for (const key of ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]) {
    const tolerated = spec.tolerations?.some(
      (t) => (!t.key || t.key === key) && (!t.effect || t.effect === "NoExecute"),
    );
    if (tolerated) continue;
    spec.tolerations = [
      ...(spec.tolerations ?? []),
      { key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 },
    ];
  }
}

/** As the Priority admission plugin. */
function addPriority(object: Pod, spec: V1PodSpec, context: WriteContext): void {
  const classes = context.list("priorityclasses.scheduling.k8s.io").map((e) => e.object as Stored<V1PriorityClass>);
  const chosen = spec.priorityClassName
    ? classes.find((c) => c.metadata.name === spec.priorityClassName)
    : classes.find((c) => c.globalDefault);
  if (spec.priorityClassName && !chosen) {
    throw forbidden(
      podResource,
      object.metadata.name,
      `no PriorityClass with name ${spec.priorityClassName} was found`,
    );
  }
  if (chosen) spec.priorityClassName = chosen.metadata.name;
  const computed = { priority: chosen?.value ?? 0, policy: chosen?.preemptionPolicy ?? "PreemptLowerPriority" };
  if ((spec.priority ?? computed.priority) !== computed.priority)
    throw notToGive(object, `integer value of priority (${spec.priority})`, computed.priority);
  if ((spec.preemptionPolicy ?? computed.policy) !== computed.policy)
    throw notToGive(object, `string value of PreemptionPolicy (${spec.preemptionPolicy})`, computed.policy);
  spec.priority = computed.priority;
  spec.preemptionPolicy = computed.policy;
}

function notToGive(object: Pod, what: string, computed: string | number): StatusError {
  const why = `the ${what} must not be provided in pod spec; priority admission controller computed ${computed} from the given PriorityClass name`;
  return forbidden(podResource, object.metadata.name, why);
}

/** As the RuntimeClass admission plugin: the class must exist, what it costs and where it runs is added. */
function addRuntime(object: Pod, spec: V1PodSpec, context: WriteContext): void {
  if (!spec.runtimeClassName) return;
  const refuse = (why: string) => forbidden(podResource, object.metadata.name, `pod rejected: ${why}`);
  const found = context.get("runtimeclasses.node.k8s.io", spec.runtimeClassName)?.object;
  const chosen = found as Stored<V1RuntimeClass> | undefined;
  if (!chosen) throw refuse(`RuntimeClass "${spec.runtimeClassName}" not found`);
  const overhead = chosen.overhead?.podFixed;
  if (spec.overhead && !equalJson(spec.overhead, overhead))
    throw refuse("Pod's Overhead doesn't match RuntimeClass's defined Overhead");
  if (overhead) spec.overhead = { ...overhead };
  const { nodeSelector, tolerations } = chosen.scheduling ?? {};
  for (const [key, value] of Object.entries(nodeSelector ?? {})) {
    if ((spec.nodeSelector?.[key] ?? value) !== value)
      throw refuse(
        `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${spec.nodeSelector?.[key]}`,
      );
  }
  if (nodeSelector) spec.nodeSelector = { ...spec.nodeSelector, ...nodeSelector };
  const added = (tolerations ?? []).filter((t) => !spec.tolerations?.some((own) => equalJson(own, t)));
  if (added.length > 0) spec.tolerations = [...(spec.tolerations ?? []), ...cloneJson(added)];
}

/** As the ServiceAccount admission plugin: the account must exist, its token is mounted. */
function addServiceAccount(object: Pod, spec: V1PodSpec, context: WriteContext): void {
  // Mirror pods stand for what a node runs on its own and have no account.
  if (object.metadata.annotations?.["kubernetes.io/config.mirror"] !== undefined) return;
  const name = spec.serviceAccountName || "default";
  spec.serviceAccountName = name;
  spec.serviceAccount = name;
  const key = `${object.metadata.namespace}/${name}`;
  const account = context.get("serviceaccounts", key)?.object as Stored<V1ServiceAccount> | undefined;
  if (!account) {
    throw forbidden(
      podResource,
      object.metadata.name,
      `error looking up service account ${key}: serviceaccount "${name}" not found`,
    );
  }
  if (!spec.imagePullSecrets && account.imagePullSecrets) spec.imagePullSecrets = cloneJson(account.imagePullSecrets);
  if (!(spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true)) return;
  const volume = tokenVolume();
  let used = false;
  for (const container of [...(spec.initContainers ?? []), ...(spec.containers ?? [])]) {
    if (container.volumeMounts?.some((m) => m.mountPath === tokenPath)) continue;
    container.volumeMounts = [
      ...(container.volumeMounts ?? []),
      { name: volume.name, readOnly: true, mountPath: tokenPath },
    ];
    used = true;
  }
  if (used) spec.volumes = [...(spec.volumes ?? []), volume];
}

function tokenVolume(): V1Volume {
  return {
    name: `kube-api-access-${randomSuffix()}`,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
        { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
        {
          downwardAPI: {
            items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }],
          },
        },
      ],
      defaultMode: 0o644,
    },
  };
}
