import type {
  V1Container,
  V1EnvVar,
  V1NodeSelectorTerm,
  V1PodSpec,
  V1PodTemplateSpec,
  V1Volume,
} from "@kubernetes/client-node";
import { parseQuantity, scaledQuantity } from "#base/quantity.ts";
import type { Meta } from "../../object.ts";
import { dnsLabel } from "../names.ts";
import { type Placed, portWarnings } from "./port-warnings.ts";

/**
 * What is valid in a pod and hardly meant: texts for Warning headers.
 * Source: k8s.io/kubernetes/pkg/api/pod/warnings.go, pkg/api/node/util.go.
 */

const oldNodeLabels: Readonly<Record<string, string>> = {
  "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
  "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
};

const oldAnnotations: Readonly<Record<string, string>> = {
  "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
  "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
  "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
};

const oldVolumes: Readonly<Record<string, string>> = {
  photonPersistentDisk: "non-functional in v1.16+",
  gitRepo: "deprecated in v1.11, and disabled by default in v1.33+",
  scaleIO: "deprecated in v1.16, non-functional in v1.22+",
  flocker: "deprecated in v1.22, non-functional in v1.25+",
  storageos: "deprecated in v1.22, non-functional in v1.25+",
  quobyte: "deprecated in v1.22, non-functional in v1.25+",
  glusterfs: "deprecated in v1.25, non-functional in v1.26+",
  cephfs: "deprecated in v1.28, non-functional in v1.31+",
  rbd: "deprecated in v1.28, non-functional in v1.31+",
};

/** A name that becomes part of names of pods, which are hostnames. */
export function warnOfHostname(name: string, use = "this is used in Pod names and hostnames"): string[] {
  const problems = dnsLabel(name, false);
  if (problems.length === 0) return [];
  return [
    `metadata.name: ${use}, which can result in surprising behavior; a DNS label is recommended: [${problems.join(" ")}]`,
  ];
}

/** The warnings of a template that stands at `path`. */
export function templateWarnings(template: V1PodTemplateSpec | undefined, path: string): string[] {
  if (!template?.spec) return [];
  return podWarnings({ metadata: template.metadata ?? {}, spec: template.spec }, `${path}.`);
}

/** The warnings of a pod, or of what a template says of one. @param prefix of all paths: empty, or with a dot behind */
export function podWarnings(pod: { metadata: Pick<Meta, "annotations">; spec: V1PodSpec }, prefix = ""): string[] {
  const { spec, metadata } = pod;
  const path = `${prefix}spec`;
  const out: string[] = [
    ...Object.keys(spec.nodeSelector ?? {}).flatMap((key) => oldLabel(key, `${path}.nodeSelector[${key}]`)),
    ...affinityWarnings(spec, path),
    ...Object.keys(metadata.annotations ?? {})
      .filter((key) => oldAnnotations[key])
      .map((key) => `${prefix}metadata.annotations[${key}]: ${oldAnnotations[key]}`),
    ...(spec.volumes ?? []).flatMap((volume, i) => volumeWarnings(volume, `${path}.volumes[${i}]`)),
    ...twice(spec.hostAliases ?? [], "ip", `${path}.hostAliases`),
    ...twice(spec.imagePullSecrets ?? [], "name", `${path}.imagePullSecrets`),
  ];
  spec.imagePullSecrets?.forEach(({ name }, i) => {
    if (!name) out.push(`${path}.imagePullSecrets[${i}].name: invalid empty name ""`);
  });
  const containers = containersAt(spec, path);
  for (const [container, at] of containers) out.push(...fractions(container, at), ...hidden(container.env ?? [], at));
  out.push(...portWarnings(containers));
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0)
    out.push(
      `${path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`,
    );
  return out;
}

function containersAt(spec: V1PodSpec, path: string): Placed[] {
  return (["initContainers", "containers"] as const).flatMap((list) =>
    (spec[list] ?? []).map((container, i): Placed => [container, `${path}.${list}[${i}]`]),
  );
}

function oldLabel(key: string, path: string, words = ""): string[] {
  const why = oldNodeLabels[key];
  return why ? [`${path}: ${words}${why}`] : [];
}

const noPod = "a null labelSelector results in matching no pod";

function affinityWarnings({ affinity = {}, topologySpreadConstraints }: V1PodSpec, path: string): string[] {
  const { nodeAffinity, podAffinity, podAntiAffinity } = affinity;
  const [must, may] = [
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
  ] as const;
  const at = `${path}.affinity`;
  const pods = (
    [
      ["podAffinity", podAffinity],
      ["podAntiAffinity", podAntiAffinity],
    ] as const
  ).flatMap(([name, rules]) => [
    ...(rules?.[must] ?? []).flatMap((term, i) =>
      term.labelSelector ? [] : [`${at}.${name}.${must}[${i}].labelSelector: ${noPod}`],
    ),
    ...(rules?.[may] ?? []).flatMap(({ podAffinityTerm }, i) =>
      podAffinityTerm.labelSelector ? [] : [`${at}.${name}.${may}[${i}].podAffinityTerm.labelSelector: ${noPod}`],
    ),
  ]);
  return [
    ...(nodeAffinity?.[must]?.nodeSelectorTerms ?? []).flatMap((term, i) =>
      termWarnings(term, `${at}.nodeAffinity.${must}.nodeSelectorTerms[${i}]`),
    ),
    ...(nodeAffinity?.[may] ?? []).flatMap(({ preference }, i) =>
      termWarnings(preference, `${at}.nodeAffinity.${may}[${i}].preference`),
    ),
    ...(topologySpreadConstraints ?? []).flatMap(({ topologyKey, labelSelector }, i) => [
      ...oldLabel(topologyKey, `${path}.topologySpreadConstraints[${i}].topologyKey`, `${topologyKey} is `),
      ...(labelSelector ? [] : [`${path}.topologySpreadConstraints[${i}].labelSelector: ${noPod}`]),
    ]),
    ...pods,
  ];
}

function termWarnings(term: V1NodeSelectorTerm, path: string): string[] {
  return (term.matchExpressions ?? []).flatMap(({ key }, i) =>
    oldLabel(key, `${path}.matchExpressions[${i}].key`, `${key} is `),
  );
}

function volumeWarnings(volume: V1Volume, path: string): string[] {
  return Object.keys(volume).flatMap((source) =>
    oldVolumes[source] ? [`${path}.${source}: ${oldVolumes[source]}`] : [],
  );
}

function twice<K extends string>(items: readonly { readonly [key in K]?: string }[], key: K, path: string): string[] {
  const seen = new Set<string>();
  return items.flatMap((item, i) => {
    const value = item[key] ?? "";
    if (seen.has(value)) return [`${path}[${i}].${key}: duplicate ${key} ${JSON.stringify(value)}`];
    seen.add(value);
    return [];
  });
}

/** Bytes come whole. */
function fractions({ resources }: V1Container, path: string): string[] {
  return (["limits", "requests"] as const).flatMap((field) =>
    ["memory", "ephemeral-storage"].flatMap((name) => {
      const text = resources?.[field]?.[name];
      if (text === undefined || scaledQuantity(parseQuantity(text), -3) % 1000n === 0n) return [];
      return [
        `${path}.resources.${field}[${name}]: fractional byte value ${JSON.stringify(text)} is invalid, must be an integer`,
      ];
    }),
  );
}

/** Variables that are given again without building on what they were. */
function hidden(env: readonly V1EnvVar[], path: string): string[] {
  const seen = new Set<string>();
  return env.flatMap(({ name, value = "", valueFrom }, i) => {
    const reference = `$(${name})`;
    const builds = !valueFrom && value !== reference && value.includes(reference);
    if (seen.has(name) && !builds)
      return [
        `${path}.env[${i}]: hides previous definition of ${JSON.stringify(name)}, which may be dropped when using apply`,
      ];
    seen.add(name);
    return [];
  });
}
