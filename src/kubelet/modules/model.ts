import { createHash } from "node:crypto";
import {
  type Container,
  type ContainerState,
  MIRROR_ANNOTATION,
  type Pod,
  type PodStatus,
  PROCESS_ANNOTATION,
} from "#api/index.ts";
import { podStatus } from "../status/podStatus.ts";
import type { ProcessRun } from "./process.ts";

/** A part of a node that runs in one of its processes rather than in a pod. */
export interface ModuleSpec {
  /** Name of its pod, without what the node adds: `kube-flannel-ds`. */
  readonly pod: string;
  /** `suffix`: five characters, as of a DaemonSet's pods; `node`: the node's name, as of static pods. */
  readonly naming: "suffix" | "node";
  readonly labels: Readonly<Record<string, string>>;
  readonly container: Container;
  /** Name of the process that holds it. */
  readonly process: string;
  /** Its log on the node: klog's lines. */
  readonly log: string;
}

/** The node that a module belongs to. */
export interface ModuleNode {
  readonly name: string;
  readonly addresses: readonly string[];
}

const NAMESPACE = "kube-system";
const SOURCE_ANNOTATION = "kubernetes.io/config.source";
const HASH_ANNOTATION = "kubernetes.io/config.hash";
/** Of generated names (apimachinery, rand.SafeEncodeString). */
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH = 5;

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** Five characters that are always the same for a module of a node. */
export function moduleSuffix(pod: string, node: string): string {
  const bytes = digest(`${pod}/${node}`).subarray(0, SUFFIX_LENGTH);
  return [...bytes].map((byte) => ALPHABET[byte % ALPHABET.length]).join("");
}

/** Whether a pod only shows what its node runs on its own. */
export function isMirrorPod({ metadata }: Pod): boolean {
  return metadata.annotations?.[MIRROR_ANNOTATION] !== undefined;
}

/** Whether two mirror pods show the same. */
export function showsSame(a: Pod, b: Pod): boolean {
  return a.metadata.annotations?.[MIRROR_ANNOTATION] === b.metadata.annotations?.[MIRROR_ANNOTATION];
}

/** The pod that shows a module. It is bound to its node from the beginning, so no scheduler sees it. */
export function mirrorPod(module: ModuleSpec, node: ModuleNode): Pod {
  const hash = digest(JSON.stringify(module)).toString("hex").slice(0, 32);
  const suffix = module.naming === "node" ? node.name : moduleSuffix(module.pod, node.name);
  return {
    metadata: {
      name: `${module.pod}-${suffix}`,
      namespace: NAMESPACE,
      labels: module.labels,
      annotations: {
        [HASH_ANNOTATION]: hash,
        [MIRROR_ANNOTATION]: hash,
        [SOURCE_ANNOTATION]: "file",
        [PROCESS_ANNOTATION]: module.process,
      },
    },
    spec: {
      nodeName: node.name,
      hostNetwork: true,
      priorityClassName: "system-node-critical",
      tolerations: [{ operator: "Exists" }],
      containers: [module.container],
    },
  };
}

/** The pod that shows a static pod in the API (pkg/kubelet/pod/mirror_client.go). */
export function mirrorOf(pod: Pod): Pod {
  const { uid = "", ...metadata } = pod.metadata;
  return { ...pod, metadata: { ...metadata, annotations: { ...metadata.annotations, [MIRROR_ANNOTATION]: uid } } };
}

/** How a module is: the run of the process that holds it, and what is wrong with it. */
export interface ModuleState {
  readonly run: ProcessRun | undefined;
  readonly problem: string | undefined;
}

/**
 * Status of a module's pod.
 * @param present the pod as the API has it: another run of the process than it shows is a restart
 */
export function mirrorStatus(present: Pod, { run, problem }: ModuleState, node: ModuleNode, now: string): PodStatus {
  const [container] = present.spec.containers;
  const before = present.status?.containerStatuses?.[0];
  const containerId = run && `podwire://${digest(run.id).toString("hex")}`;
  const isNew = before?.containerID !== undefined && containerId !== undefined && before.containerID !== containerId;
  const ended: ContainerState = {
    terminated: { exitCode: 137, reason: "ContainerStatusUnknown", finishedAt: run?.startedAt ?? now },
  };
  const view = {
    state: run
      ? { running: { startedAt: run.startedAt } }
      : { waiting: { reason: "ProcessNotRunning", ...(problem === undefined ? {} : { message: problem }) } },
    lastState: isNew ? ended : (before?.lastState ?? {}),
    restartCount: (before?.restartCount ?? 0) + (isNew ? 1 : 0),
    ready: run !== undefined && problem === undefined,
    started: run !== undefined,
    ...(containerId === undefined ? {} : { containerId }),
    imageId: container?.image ?? "",
  };
  const containers = new Map(container ? [[container.name, view]] : []);
  const { addresses } = node;
  const startTime = present.status?.startTime ?? now;
  return podStatus(present, { containers, sandboxReady: true, podIPs: addresses, hostIPs: addresses, startTime }, now);
}
