import type { NamespaceKind, SpawnRequest } from "#kernel/process/index.ts";
import type { ChildEnds } from "./outputs.ts";
import { type RootFolders, rootPlan } from "./rootPlan.ts";
import type { ContainerSpec, SharedNamespaces } from "./types.ts";

/** What a container's process is connected to. */
export interface ContainerEnds {
  /** Absent: a terminal. */
  readonly stdio?: ChildEnds | undefined;
  /** Descriptor of the pod's network namespace; absent: the node's. */
  readonly netns?: number | undefined;
  /** Folder of its control group. */
  readonly group?: string | undefined;
}

function namespaces(
  shared: SharedNamespaces,
): Pick<SpawnRequest, "join"> & { readonly own: Exclude<NamespaceKind, "net">[] } {
  const ofPod: readonly ("uts" | "ipc")[] = shared.nodeIpc ? ["uts"] : ["uts", "ipc"];
  const join = [
    ...(shared.pod === undefined ? [] : [{ pidfd: shared.pod, namespaces: ofPod }]),
    ...(typeof shared.processes === "number" ? [{ pidfd: shared.processes, namespaces: ["pid"] as const }] : []),
  ];
  const own = [
    "mount" as const,
    ...(shared.pod === undefined ? ofPod : []),
    ...(shared.processes === undefined ? ["pid" as const] : []),
  ];
  return { ...(join.length ? { join } : {}), own };
}

/** The process to start for a container. @param init what stands before the command of a container that is served */
export function containerRequest(
  spec: ContainerSpec,
  folders: RootFolders,
  shared: SharedNamespaces,
  { stdio, netns, group }: ContainerEnds,
  init: readonly string[],
): SpawnRequest {
  const { join, own } = namespaces(shared);
  const argv = [...(spec.image.served ? init : []), ...spec.argv];
  const fresh = shared.pod === undefined ? { hostname: spec.hostname, sysctls: spec.sysctls } : {};
  return {
    argv: argv as [string, ...string[]],
    env: spec.env,
    cwd: spec.cwd,
    stdio: stdio ? [stdio.stdin, stdio.stdout, stdio.stderr] : [],
    ...(join ? { join } : {}),
    create: {
      namespaces: own,
      ...fresh,
      root: rootPlan(folders, spec.image, spec.volumes, spec),
      ...(netns === undefined ? {} : { netns }),
    },
    tty: spec.tty,
    ...(group === undefined ? {} : { cgroup: group }),
    ...(spec.oomScoreAdj === undefined ? {} : { oomScoreAdj: spec.oomScoreAdj }),
    ...(spec.user ? { user: spec.user } : {}),
    ...(spec.capabilities ? { capabilities: spec.capabilities } : {}),
    ...(spec.mayGainPrivileges ? { mayGainPrivileges: true } : {}),
  };
}

/** The process that holds the namespaces of a pod whose containers share their processes, as upstream's pause. */
export function holderRequest(
  folders: RootFolders,
  hostname: string,
  sysctls: Readonly<Record<string, string>>,
  nodeIpc: boolean,
): SpawnRequest {
  const layers = `lowerdir=${folders.lower.join(":")},upperdir=${folders.upper},workdir=${folders.work}`;
  return {
    argv: ["/pause"],
    holds: true,
    env: {},
    stdio: [null, null, null],
    create: {
      namespaces: ["mount", "uts", "pid", ...(nodeIpc ? [] : (["ipc"] as const))],
      hostname,
      sysctls,
      // Nothing is in it: what shares its processes can look at its root.
      root: { directory: folders.root, mounts: [{ target: "/", type: "overlay", options: layers }] },
    },
    capabilities: [],
  };
}
