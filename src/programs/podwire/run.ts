import { isatty } from "node:tty";
import { nodeOptions } from "#base/entry.ts";
import { errorMessage, PodwireError } from "#base/errors.ts";
import { PROGRAM_ROOT } from "#lab/machine/index.ts";
import type { ClusterStatus } from "#lab/parent/index.ts";
import { EXIT, type NetworkMode, type PublishedPort, type RunWish, type StopWish } from "#run/index.ts";
import { enter } from "./enter.ts";
import { ownStreams } from "./foreign.ts";
import { ask } from "./query.ts";

/** Which machine: a cluster and a node of it. */
export interface Place {
  readonly name: string;
  readonly on?: string;
}

/** Flags of `podwire run`. */
export interface RunFlags extends Place {
  readonly network: NetworkMode;
  readonly publish: readonly PublishedPort[];
  readonly env: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly detach?: boolean;
  readonly hostname?: string;
  readonly containerName?: string;
  readonly explain?: boolean;
}

/** The node that is meant: the first worker where none is named. @throws PodwireError "NotRunning", "NotFound" */
export async function nodeOf({ name, on }: Place): Promise<string> {
  const { nodes } = (await ask(name, { command: "status" })) as ClusterStatus;
  const names = nodes.map((node) => node.name);
  if (on !== undefined && !names.includes(on))
    throw new PodwireError("NotFound", `no node ${on}; there are ${names.join(", ")}`);
  const node = on ?? names.find((candidate) => candidate !== "controlplane") ?? names[0];
  if (node === undefined) throw new PodwireError("Starting", `cluster "${name}" is still starting: it has no node yet`);
  return node;
}

/**
 * What enters the node would end by the signals that are meant for the container, which may take its time. Ignored
 * signals stay ignored in the programs that follow, up to Node, which takes them all back (src/node.cc).
 */
const DEAF = ["sh", "-c", 'trap "" INT TERM HUP QUIT; exec "$@"', "sh"];

async function onNode(place: Place, action: "run" | "ps" | "stop", wish: RunWish | StopWish | undefined) {
  const words = [`${PROGRAM_ROOT}/bin/node`, ...nodeOptions, `${PROGRAM_ROOT}/dist/run.cjs`, action];
  const command = [...words, ...(wish ? [JSON.stringify(wish)] : [])];
  return enter(place.name, await nodeOf(place), command, ownStreams(), action === "run" ? DEAF : []);
}

/** Variables of `-e`: `K=V`, or `K` alone for this process's own value. */
export function variables(list: readonly string[], own: NodeJS.ProcessEnv): Record<string, string> {
  const pairs = list.flatMap((text): [string, string][] => {
    const at = text.indexOf("=");
    if (at === 0 || text === "") throw new PodwireError("InvalidConfig", `invalid environment variable: ${text}`);
    if (at > 0) return [[text.slice(0, at), text.slice(at + 1)]];
    const value = own[text];
    return value === undefined ? [] : [[text, value]];
  });
  return Object.fromEntries(pairs);
}

function wishOf(image: string, command: readonly string[], flags: RunFlags): RunWish {
  const { workdir, user, hostname, containerName: name } = flags;
  if (workdir !== undefined && !workdir.startsWith("/"))
    throw new PodwireError(
      "InvalidConfig",
      `the working directory '${workdir}' is invalid, it needs to be an absolute path`,
    );
  if (name !== undefined && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name))
    throw new PodwireError(
      "InvalidConfig",
      `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  if (hostname !== undefined && !/^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,61}[a-zA-Z0-9])?$/.test(hostname))
    throw new PodwireError("InvalidConfig", `invalid hostname: ${hostname}`);
  return {
    image,
    command,
    network: flags.network,
    ports: flags.publish,
    env: variables(flags.env, process.env),
    ...(workdir === undefined ? {} : { cwd: workdir }),
    ...(user === undefined ? {} : { user }),
    stdin: flags.interactive ?? false,
    tty: flags.tty ?? false,
    detach: flags.detach ?? false,
    ...(hostname === undefined ? {} : { hostname }),
    ...(name === undefined ? {} : { name }),
    explain: flags.explain ?? false,
  };
}

/** `podwire run IMAGE [COMMAND…]` @returns the container's exit code, or one of EXIT */
export async function runRun(image: string, command: readonly string[], flags: RunFlags): Promise<number> {
  try {
    const wish = wishOf(image, command, flags);
    if (wish.tty && wish.stdin && !wish.detach && !isatty(0))
      throw new PodwireError("InvalidConfig", "the input device is not a TTY");
    return await onNode(flags, "run", wish);
  } catch (error) {
    process.stderr.write(`podwire: ${errorMessage(error)}\n`);
    return EXIT.own;
  }
}

/** `podwire ps` */
export function runPs(flags: Place): Promise<number> {
  return onNode(flags, "ps", undefined);
}

/** `podwire stop CONTAINER…` */
export function runStop(containers: readonly string[], flags: Place & { readonly time: number }): Promise<number> {
  return onNode(flags, "stop", { containers, seconds: flags.time });
}
