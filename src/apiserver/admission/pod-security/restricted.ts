import type { V1Container, V1Volume } from "@kubernetes/client-node";
import { seccompProfile } from "./baseline.ts";
import {
  type Check,
  containersOf,
  containersText,
  forWindows,
  namesWhere,
  ownUsers,
  plural,
  quoted,
  settersText,
  sortedSet,
} from "./check.ts";

/**
 * What the restricted standard asks beyond baseline, in the order in which upstream reports.
 * Source: kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, k8s.io/pod-security-admission/policy.
 */

const allowPrivilegeEscalation: Check = {
  id: "allowPrivilegeEscalation",
  since: 8,
  violation({ spec }, minor) {
    if (forWindows(spec, minor)) return undefined;
    const bad = namesWhere(spec, (c) => c.securityContext?.allowPrivilegeEscalation !== false);
    if (bad.length === 0) return undefined;
    const detail = `${containersText(bad)} must set securityContext.allowPrivilegeEscalation=false`;
    return { reason: "allowPrivilegeEscalation != false", detail };
  },
};

const capabilities: Check = {
  id: "capabilities_restricted",
  since: 22,
  overrides: ["capabilities_baseline"],
  violation({ spec }, minor) {
    if (forWindows(spec, minor)) return undefined;
    const keeping = namesWhere(spec, (c) => !c.securityContext?.capabilities?.drop?.includes("ALL"));
    const more = (c: V1Container) =>
      (c.securityContext?.capabilities?.add ?? []).filter((name) => name !== "NET_BIND_SERVICE");
    const adding = namesWhere(spec, (c) => more(c).length > 0);
    const names = quoted(sortedSet(containersOf(spec).flatMap(more)));
    const details = [
      ...(keeping.length > 0 ? [`${containersText(keeping)} must set securityContext.capabilities.drop=["ALL"]`] : []),
      ...(adding.length > 0
        ? [`${containersText(adding)} must not include ${names} in securityContext.capabilities.add`]
        : []),
    ];
    return details.length > 0 ? { reason: "unrestricted capabilities", detail: details.join("; ") } : undefined;
  },
};

const allowedVolumes = new Set([
  ...["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"],
]);

const restrictedVolumes: Check = {
  id: "restrictedVolumes",
  overrides: ["hostPathVolumes"],
  violation({ spec }) {
    const sources = (v: V1Volume) => Object.keys(v).filter((field) => field !== "name");
    const bad = (spec.volumes ?? []).filter((v) => !sources(v).some((source) => allowedVolumes.has(source)));
    if (bad.length === 0) return undefined;
    const types = sortedSet(bad.flatMap((v) => sources(v).slice(0, 1)));
    const who = `${plural(bad.length, "volume", "volumes")} ${quoted(bad.map(({ name }) => name))}`;
    const what = plural(types.length, "restricted volume type", "restricted volume types");
    return {
      reason: "restricted volume types",
      detail: `${who} ${plural(bad.length, "uses", "use")} ${what} ${quoted(types)}`,
    };
  },
};

const runAsNonRoot: Check = {
  id: "runAsNonRoot",
  violation({ spec }, minor) {
    if (ownUsers(spec, minor)) return undefined;
    const reason = "runAsNonRoot != true";
    const pod = spec.securityContext?.runAsNonRoot;
    const explicit = settersText(
      pod === false,
      namesWhere(spec, (c) => c.securityContext?.runAsNonRoot === false),
    );
    if (explicit) return { reason, detail: `${explicit} must not set securityContext.runAsNonRoot=false` };
    const silent = pod ? [] : namesWhere(spec, (c) => c.securityContext?.runAsNonRoot === undefined);
    if (silent.length === 0) return undefined;
    return { reason, detail: `pod or ${containersText(silent)} must set securityContext.runAsNonRoot=true` };
  },
};

const runAsUser: Check = {
  id: "runAsUser",
  since: 23,
  violation({ spec }, minor) {
    if (ownUsers(spec, minor)) return undefined;
    const root = namesWhere(spec, (c) => c.securityContext?.runAsUser === 0);
    const setters = settersText(spec.securityContext?.runAsUser === 0, root);
    return setters ? { reason: "runAsUser=0", detail: `${setters} must not set runAsUser=0` } : undefined;
  },
};

const seccomp: Check = {
  id: "seccompProfile_restricted",
  since: 19,
  overrides: ["seccompProfile_baseline"],
  violation(pod, minor) {
    const { spec } = pod;
    if (forWindows(spec, minor)) return undefined;
    const explicit = seccompProfile.violation(pod, minor);
    if (explicit || spec.securityContext?.seccompProfile) return explicit;
    const silent = namesWhere(spec, (c) => c.securityContext?.seccompProfile === undefined);
    if (silent.length === 0) return undefined;
    const wanted = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"';
    return { reason: "seccompProfile", detail: `pod or ${containersText(silent)} ${wanted}` };
  },
};

/** All of them. */
export const restrictedChecks: readonly Check[] = [
  ...[allowPrivilegeEscalation, capabilities, restrictedVolumes, runAsNonRoot, runAsUser, seccomp],
];
