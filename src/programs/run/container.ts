import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { PodwireError } from "#base/errors.ts";
import { type ContainerImage, namedUser } from "#kubelet/images/index.ts";
import { type ContainerSpec, DEFAULT_CAPABILITIES } from "#kubelet/runtime/index.ts";
import { hostsFile, netnsPath, type RunRecord, type RunWish } from "#run/index.ts";

/** The words that a container runs. @throws PodwireError "NoCommand" */
export function commandOf({ command }: RunWish, { entrypoint, cmd, served, reference }: ContainerImage): string[] {
  if (served !== undefined)
    throw new PodwireError(
      "NotServed",
      `${reference} is answered for by the node's serving process, in pods alone: kubectl run, or another image`,
    );
  const argv = [...entrypoint, ...(command.length > 0 ? command : cmd)];
  if (argv.length === 0) throw new PodwireError("NoCommand", "no command specified");
  return argv;
}

/** Whom it runs as; undefined: root. */
function userOf({ user }: RunWish, image: ContainerImage): ContainerSpec["user"] {
  const chosen = user === undefined ? image.user : namedUser(user, image);
  if (!chosen) return undefined;
  const { uid, gid, groups = [] } = chosen;
  if (uid === 0 && gid === 0 && groups.length === 0) return undefined;
  return { uid, gid, groups: groups.length > 0 ? groups : [gid] };
}

/** What a container sees of its network. */
function etcOf({ network }: RunRecord, name: string): Record<string, string> {
  const own = network.mode === "host";
  const hosts = own ? readFileSync("/etc/hosts", "utf8") : hostsFile(network.attachment?.address, name);
  return {
    "/etc/hosts": hosts,
    "/etc/resolv.conf": readFileSync("/etc/resolv.conf", "utf8"),
    "/etc/hostname": `${name}\n`,
  };
}

/**
 * Everything that the container is started from.
 * @param folder of the run, for its log
 * @throws Error for a user that the image does not know
 */
export function containerSpec(wish: RunWish, image: ContainerImage, run: RunRecord, folder: string): ContainerSpec {
  const name = wish.hostname ?? (wish.network === "host" ? hostname() : run.id.slice(0, 12));
  const user = userOf(wish, image);
  const { netns } = run.network;
  return {
    id: run.id,
    podUid: run.id,
    name: run.name,
    image,
    argv: run.command,
    env: { HOME: "/root", HOSTNAME: name, ...(wish.tty ? { TERM: "xterm" } : {}), ...image.env, ...wish.env },
    cwd: wish.cwd ?? image.workingDir,
    hostname: name,
    ...(netns === undefined ? {} : { netns: netnsPath(netns) }),
    etc: etcOf(run, name),
    volumes: [],
    ...(user ? { user } : {}),
    capabilities: DEFAULT_CAPABILITIES,
    privileged: false,
    readonlyRoot: false,
    sysctls: {},
    tty: wish.tty,
    stdin: wish.stdin,
    stdinOnce: wish.stdin && !wish.detach,
    logPath: `${folder}/log`,
  };
}
