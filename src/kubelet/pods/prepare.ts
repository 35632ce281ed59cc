import { totalmem } from "node:os";
import type { Container, Pod } from "#api/index.ts";
import { containerGroup, oomScoreAdj } from "../cgroups/index.ts";
import type { ContainerImage } from "../images/index.ts";
import { containerLogPath } from "../logs/index.ts";
import type { ContainerSpec, RunningContainer, RuntimeName } from "../runtime/index.ts";
import { ContainerConfigError, containerEnv, expand } from "../spec/env.ts";
import { hostsFile, podHostname, resolvConf } from "../spec/files.ts";
import type { PodDeps } from "./deps.ts";
import type { NewRun } from "./history.ts";
import { type PodLightness, prepareLight } from "./light.ts";
import type { PodNamespaces } from "./namespaces.ts";
import type { SandboxRecord } from "./record.ts";
import { type ContainerIdentity, containerIdentity, containerSecurity } from "./security.ts";
import type { PodStorage } from "./storage.ts";
import { makeMessageFile } from "./terminationMessage.ts";

/** The parts of a pod that its containers share once it is set up. */
export interface PodSetup {
  readonly sandbox?: SandboxRecord;
  readonly podIPs: readonly string[];
  readonly volumes: Pick<PodStorage, "mountsOf">;
  readonly namespaces: Pick<PodNamespaces, "start" | "add" | "targetOf">;
  readonly lightness: Pick<PodLightness, "includes">;
  /** What starts its containers. */
  readonly runtime: RuntimeName;
}

/** Command line of a container: `command` replaces entrypoint and cmd, `args` replaces cmd (API, Container.command). */
export function commandLine(
  container: Container,
  image: Pick<ContainerImage, "entrypoint" | "cmd">,
  env: Record<string, string>,
): string[] {
  const filled = (list: readonly string[]) => list.map((text) => expand(text, env));
  const command = container.command?.length ? filled(container.command) : [...image.entrypoint];
  const given = container.args?.length ? filled(container.args) : undefined;
  const args = given ?? (container.command?.length ? [] : [...image.cmd]);
  return [...command, ...args];
}

/** Arguments of a served container: its process runs the image's own command, the server reads what the pod says. */
export function servedArguments(container: Container, env: Record<string, string>): string[] {
  return [...(container.command ?? []).slice(1), ...(container.args ?? [])].map((text) => expand(text, env));
}

/** Settings of a pod's IPC namespace; those of its network are made with that. */
function ipcSysctls({ spec }: Pod): Record<string, string> {
  const ofIpc = (spec.securityContext?.sysctls ?? []).filter(({ name }) =>
    /^(kernel\.(shm|msg|sem)|fs\.mqueue\.)/.test(name),
  );
  return Object.fromEntries(ofIpc.map(({ name, value }) => [name, value]));
}

/** The environment in which a container's variables are resolved. */
async function environment(deps: PodDeps, pod: Pod, container: Container, image: ContainerImage, setup: PodSetup) {
  const namespace = pod.metadata.namespace ?? "default";
  const declared = await containerEnv(container, {
    pod,
    podIPs: setup.podIPs,
    hostIPs: deps.node.addresses,
    allocatable: deps.node.allocatable,
    configMap: (name) => deps.objects.configMap(namespace, name),
    secret: (name) => deps.objects.secret(namespace, name),
    services: await deps.services(pod),
  });
  const hostname = podHostname(pod, deps.node.name, deps.dns.clusterDomain);
  const terminal = container.tty ? { TERM: "xterm" } : {};
  return { HOME: "/root", HOSTNAME: hostname, ...terminal, ...image.env, ...declared };
}

/** All that is needed to start one run of a container, and the arguments for the server behind it. */
export interface Prepared {
  readonly spec: Pick<ContainerSpec, "id" | "netns" | "logPath">;
  readonly servedArgs: readonly string[];
  readonly isLight?: true;
  /** As whom its process runs; absent when it has none. */
  readonly user?: ContainerIdentity;
  /** @param target whose processes it sees */
  start(target: RunningContainer | undefined): Promise<RunningContainer>;
}

/** What is kept of a run that is about to begin. */
export function newRun(
  { image: name = "" }: Container,
  image: Pick<ContainerImage, "id" | "stopSignal">,
  { spec: { id, logPath }, isLight, user }: Pick<Prepared, "spec" | "isLight" | "user">,
): NewRun {
  return {
    id,
    image: name,
    imageId: image.id,
    logPath,
    ...(isLight ? { isLight } : {}),
    ...(user ? { user } : {}),
    ...(image.stopSignal === undefined ? {} : { stopSignal: image.stopSignal }),
  };
}

/**
 * Puts a container's specification together.
 * @throws ContainerConfigError, VolumeError, ImageError
 */
export async function prepareContainer(
  deps: PodDeps,
  pod: Pod,
  container: Container,
  image: ContainerImage,
  setup: PodSetup,
  run: { readonly id: string; readonly count: number },
): Promise<Prepared> {
  const env = await environment(deps, pod, container, image, setup);
  if (setup.lightness.includes(pod, container)) {
    const { start, ...spec } = prepareLight(deps, pod, container, setup.sandbox?.netns, run);
    return { spec, servedArgs: servedArguments(container, env), isLight: true, start };
  }
  const user = containerIdentity(pod, container, image);
  const security = containerSecurity(container, user);
  const hostname = podHostname(pod, deps.node.name, deps.dns.clusterDomain);
  const served = image.served !== undefined;
  const argv = served ? [...image.entrypoint, ...image.cmd] : commandLine(container, image, env);
  if (argv.length === 0)
    throw new ContainerConfigError(`image ${image.reference} has no command and the container names none`);
  const hosts = hostsFile(pod, setup.podIPs, deps.dns.clusterDomain, deps.nodeHosts());
  const spec: ContainerSpec = {
    id: run.id,
    podUid: pod.metadata.uid ?? "",
    name: container.name,
    runtime: setup.runtime,
    image,
    argv,
    env,
    cwd: container.workingDir ?? image.workingDir,
    hostname,
    ...(setup.sandbox ? { netns: setup.sandbox.netns } : {}),
    etc: { "/etc/hosts": hosts, "/etc/resolv.conf": resolvConf(pod, deps.dns), "/etc/hostname": `${hostname}\n` },
    volumes: [...setup.volumes.mountsOf(container, pod, env), makeMessageFile(deps, pod, container, run.count)],
    ...security,
    tty: container.tty ?? false,
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    ...(pod.spec.hostIPC ? { sharedMemory: "/dev/shm" } : {}),
    sysctls: ipcSysctls(pod),
    oomScoreAdj: oomScoreAdj(pod, container, totalmem()),
    ...(deps.cgroups ? { group: containerGroup(pod, container, run.id) } : {}),
    logPath: containerLogPath(deps.logFolders, pod, container.name, run.count),
  };
  const servedArgs = served ? servedArguments(container, env) : [];
  return { spec, servedArgs, user, start: (target) => setup.namespaces.start(spec, target) };
}
