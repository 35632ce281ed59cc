import type { V1Container, V1LifecycleHandler, V1SELinuxOptions } from "@kubernetes/client-node";
import {
  type Check,
  containersOf,
  containersText,
  namesWhere,
  ownUsers,
  plural,
  quoted,
  settersText,
  sortedSet,
} from "./check.ts";

/**
 * The baseline standard, in the order in which upstream reports.
 * Source: kubernetes.io/docs/concepts/security/pod-security-standards/#baseline, k8s.io/pod-security-admission/policy.
 */

/** Whether a profile of seccomp or AppArmor is one that the standards allow. */
const validProfile = (type: string) => type === "RuntimeDefault" || type === "Localhost";

const appArmorPrefix = "container.apparmor.security.beta.kubernetes.io/";

const appArmorProfile: Check = {
  id: "appArmorProfile",
  violation({ metadata, spec }) {
    const type = (of: { appArmorProfile?: { type: string } } | undefined) => of?.appArmorProfile?.type;
    const bad = (of: Parameters<typeof type>[0]) => !validProfile(type(of) ?? "RuntimeDefault");
    const setters = settersText(
      bad(spec.securityContext),
      namesWhere(spec, (c) => bad(c.securityContext)),
    );
    const contexts = [spec.securityContext, ...containersOf(spec).map((c) => c.securityContext)];
    const types = sortedSet(contexts.filter(bad).map((of) => type(of) ?? ""));
    const annotations = Object.entries(metadata.annotations ?? {})
      .filter(([key, value]) => key.startsWith(appArmorPrefix) && !validAnnotation(value))
      .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
      .sort();
    const values = [...types, ...annotations];
    if (values.length === 0) return undefined;
    const annotated = annotations.length > 0 ? [plural(annotations.length, "annotation", "annotations")] : [];
    const who = [...(setters ? [setters] : []), ...annotated].join(" and ");
    return {
      reason: plural(values.length, "forbidden AppArmor profile", "forbidden AppArmor profiles"),
      detail: `${who} must not set AppArmor profile type to ${quoted(values)}`,
    };
  },
};

const validAnnotation = (profile: string) =>
  profile === "" || profile === "runtime/default" || profile.startsWith("localhost/");

const defaultCapabilities = new Set([
  ...["AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"],
  ...["SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"],
]);

const capabilities: Check = {
  id: "capabilities_baseline",
  violation({ spec }) {
    const more = (c: V1Container) =>
      (c.securityContext?.capabilities?.add ?? []).filter((name) => !defaultCapabilities.has(name));
    const bad = namesWhere(spec, (c) => more(c).length > 0);
    if (bad.length === 0) return undefined;
    const names = quoted(sortedSet(containersOf(spec).flatMap(more)));
    const detail = `${containersText(bad)} must not include ${names} in securityContext.capabilities.add`;
    return { reason: "non-default capabilities", detail };
  },
};

const hostNamespaces: Check = {
  id: "hostNamespaces",
  violation({ spec }) {
    const shared = (["hostIPC", "hostNetwork", "hostPID"] as const).filter((field) => spec[field]);
    if (shared.length === 0) return undefined;
    return { reason: "host namespaces", detail: shared.map((field) => `${field}=true`).join(", ") };
  },
};

const hostPathVolumes: Check = {
  id: "hostPathVolumes",
  violation({ spec }) {
    const names = (spec.volumes ?? []).filter((v) => v.hostPath).map((v) => v.name);
    if (names.length === 0) return undefined;
    return { reason: "hostPath volumes", detail: `${plural(names.length, "volume", "volumes")} ${quoted(names)}` };
  },
};

const hostPorts: Check = {
  id: "hostPorts",
  violation({ spec }) {
    const ports = (c: V1Container) => (c.ports ?? []).flatMap(({ hostPort }) => (hostPort ? [String(hostPort)] : []));
    const bad = namesWhere(spec, (c) => ports(c).length > 0);
    if (bad.length === 0) return undefined;
    const all = sortedSet(containersOf(spec).flatMap(ports));
    const what = `${plural(bad.length, "uses", "use")} ${plural(all.length, "hostPort", "hostPorts")} ${all.join(", ")}`;
    return { reason: "hostPort", detail: `${containersText(bad)} ${what}` };
  },
};

const hostProbes: Check = {
  id: "hostProbesAndHostLifecycle",
  since: 34,
  violation({ spec }) {
    const hosts = (c: V1Container) =>
      [c.livenessProbe, c.readinessProbe, c.startupProbe, c.lifecycle?.postStart, c.lifecycle?.preStop].flatMap(
        (action: V1LifecycleHandler | undefined) =>
          [action?.httpGet?.host, action?.tcpSocket?.host].filter((host) => host !== undefined && host !== ""),
      ) as string[];
    const bad = sortedSet(namesWhere(spec, (c) => hosts(c).length > 0));
    if (bad.length === 0) return undefined;
    const all = sortedSet(containersOf(spec).flatMap(hosts));
    const what = plural(all.length, "probe or lifecycle host", "probe or lifecycle hosts");
    const detail = `${containersText(bad)} ${plural(bad.length, "uses", "use")} ${what} ${quoted(all)}`;
    return { reason: "probe or lifecycle host", detail };
  },
};

const privileged: Check = {
  id: "privileged",
  violation({ spec }) {
    const bad = namesWhere(spec, (c) => c.securityContext?.privileged === true);
    if (bad.length === 0) return undefined;
    return { reason: "privileged", detail: `${containersText(bad)} must not set securityContext.privileged=true` };
  },
};

const procMount: Check = {
  id: "procMount",
  violation({ spec }, minor) {
    if (ownUsers(spec, minor)) return undefined;
    const other = (c: V1Container) => (c.securityContext?.procMount ?? "Default") !== "Default";
    const bad = namesWhere(spec, other);
    if (bad.length === 0) return undefined;
    const types = sortedSet(
      containersOf(spec)
        .filter(other)
        .map((c) => c.securityContext?.procMount ?? ""),
    );
    return {
      reason: "procMount",
      detail: `${containersText(bad)} must not set securityContext.procMount to ${quoted(types)}`,
    };
  },
};

const seLinuxOptions: Check = {
  id: "seLinuxOptions",
  violation({ spec }, minor) {
    const types = [
      "",
      "container_t",
      "container_init_t",
      "container_kvm_t",
      ...(minor >= 31 ? ["container_engine_t"] : []),
    ];
    const bad = (o: V1SELinuxOptions | undefined) =>
      o !== undefined && (!types.includes(o.type ?? "") || Boolean(o.user) || Boolean(o.role));
    const pod = spec.securityContext?.seLinuxOptions;
    const setters = settersText(
      bad(pod),
      namesWhere(spec, (c) => bad(c.securityContext?.seLinuxOptions)),
    );
    if (!setters) return undefined;
    const all = [pod, ...containersOf(spec).map((c) => c.securityContext?.seLinuxOptions)].filter(bad);
    const others = sortedSet(all.map((o) => o?.type ?? "").filter((type) => !types.includes(type)));
    const what = [
      ...(others.length > 0 ? [`${plural(others.length, "type", "types")} ${quoted(others)}`] : []),
      ...(all.some((o) => o?.user) ? ["user may not be set"] : []),
      ...(all.some((o) => o?.role) ? ["role may not be set"] : []),
    ];
    const detail = `${setters} set forbidden securityContext.seLinuxOptions: ${what.join("; ")}`;
    return { reason: "seLinuxOptions", detail };
  },
};

/** What both standards say of seccomp profiles that are set. */
export const seccompProfile: Check = {
  id: "seccompProfile_baseline",
  violation({ spec }) {
    const type = (of: { seccompProfile?: { type: string } } | undefined) => of?.seccompProfile?.type;
    const bad = (of: Parameters<typeof type>[0]) => !validProfile(type(of) ?? "RuntimeDefault");
    const setters = settersText(
      bad(spec.securityContext),
      namesWhere(spec, (c) => bad(c.securityContext)),
    );
    if (!setters) return undefined;
    const contexts = [spec.securityContext, ...containersOf(spec).map((c) => c.securityContext)];
    const values = quoted(sortedSet(contexts.filter(bad).map((of) => type(of) ?? "")));
    return {
      reason: "seccompProfile",
      detail: `${setters} must not set securityContext.seccompProfile.type to ${values}`,
    };
  },
};

/** Sysctls that touch nothing outside the pod, by the version that allowed them. */
const safeSysctls: readonly (readonly [since: number, names: readonly string[]])[] = [
  [
    0,
    [
      ...["kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start"],
      ...["net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range"],
    ],
  ],
  [27, ["net.ipv4.ip_local_reserved_ports"]],
  [
    29,
    [
      ...["net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout"],
      ...["net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes"],
    ],
  ],
  [32, ["net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"]],
];

const sysctls: Check = {
  id: "sysctls",
  violation({ spec }, minor) {
    const allowed = safeSysctls.flatMap(([since, names]) => (minor >= since ? names : []));
    const names = (spec.securityContext?.sysctls ?? [])
      .map(({ name }) => name)
      .filter((name) => !allowed.includes(name));
    return names.length > 0 ? { reason: "forbidden sysctls", detail: names.join(", ") } : undefined;
  },
};

const windowsHostProcess: Check = {
  id: "windowsHostProcess",
  violation({ spec }) {
    const bad = (of: { windowsOptions?: { hostProcess?: boolean } } | undefined) =>
      of?.windowsOptions?.hostProcess === true;
    const setters = settersText(
      bad(spec.securityContext),
      namesWhere(spec, (c) => bad(c.securityContext)),
    );
    if (!setters) return undefined;
    return { reason: "hostProcess", detail: `${setters} must not set securityContext.windowsOptions.hostProcess=true` };
  },
};

/** All of them. */
export const baselineChecks: readonly Check[] = [
  ...[appArmorProfile, capabilities, hostNamespaces, hostPathVolumes, hostPorts, hostProbes],
  ...[privileged, procMount, seLinuxOptions, seccompProfile, sysctls, windowsHostProcess],
];
