import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import type { Socket } from "node:net";
import { PodwireError } from "#base/errors.ts";
import { keepDescriptors } from "#kernel/process/index.ts";
import { Bounds } from "./bounds.ts";
import { type IdPlan, planIds, ROOT_LAB_IDS, writeIdMaps } from "./maps.ts";

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Folder of the lab in its own mount namespace; /run of the machine is covered there. */
export const LAB_ROOT = "/run/podwire";

/** What the lab's processes need of the machine's files. Absolute paths. */
export interface StageSources {
  /** Folder of the bundles, or of the sources. */
  readonly program: string;
  /** The Node binary. */
  readonly node: string;
  /** Folder of additional tools with a `usr` and an `etc` in it; empty string = none. */
  readonly tools: string;
  /** Folder that outlives the lab's processes. */
  readonly state: string;
  /** Unpacked images, which nobody in the lab can write to, and the folder of the socket by which they are asked for. */
  readonly images?: { readonly layers: string; readonly socket: string };
}

/**
 * Makes the lab's own root file system and enters it. As root it runs before the user namespace is made, since only
 * root may enter some of these folders; without root inside of it.
 *
 * Nothing of the machine is in that root but system programs, /etc, devices and kernel file systems: not even a
 * process that got out of its machine into the engine's namespaces finds anybody's home there. What belongs to the
 * user that starts the lab, the Node binary above all, is shown through overlays without an upper layer: a bind mount
 * could be made writable again by any root of the lab, such an overlay cannot (fs/overlayfs, ovl_force_readonly).
 * Folders go by links without special characters, as a blank, colon or comma would end their names; one mount(8) makes
 * all mounts, since each start of it costs a millisecond.
 * The lab's files do not depend on who starts it: their umask may keep everything from the lab's own ids.
 * Arguments: program, node, tools, state, layers, socket, owner, then the command.
 * @param shown how images are: in a user's lab the layers are read-only already, and flags of such a mount must not be
 *   named anew
 */
const setup = (shown: "bind" | "bind,ro"): string => `set -e
umask 022
program=$1 node=$2 tools=$3 state=$4 layers=$5 socket=$6 owner=$7; shift 7
lab=/run${LAB_ROOT}
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p $lab/state $lab/tools $lab/usr $lab/bin $lab/empty $lab/images/layers $lab/images/socket /run/old /run/usr /run/etc /run/dev /run/proc /run/sys
mkdir -m 1777 /run/tmp
: > $lab/node
cp -R "$program" $lab/dist
chmod -R a+rX $lab/dist
ln -s "\${node%/*}" $lab/from-node
ln -s "$state" $lab/from-state
ln -s "\${tools:-$lab/empty}" $lab/from-tools
ln -s "\${layers:-$lab/empty}" $lab/from-layers
ln -s "\${socket:-$lab/empty}" $lab/from-socket
over=
[ -z "$tools" ] || over=$lab/from-tools/usr:
cat > $lab/fstab <<END
overlay $lab/bin overlay ro,lowerdir=$lab/from-node:$lab/empty
$lab/bin/\${node##*/} $lab/node none bind
$lab/from-state $lab/state none bind
$lab/from-tools $lab/tools none bind
$lab/from-layers $lab/images/layers none ${shown}
$lab/from-socket $lab/images/socket none ${shown}
overlay $lab/usr overlay ro,lowerdir=$over/usr:$lab/empty
$lab/usr /run/usr none bind
/etc /run/etc none rbind
/dev /run/dev none rbind
/proc /run/proc none rbind
/sys /run/sys none rbind
END
mount --all --fstab $lab/fstab
links=
for name in bin sbin lib lib32 lib64 libx32; do [ ! -L /$name ] || links="$links /$name"; done
cp -P $links /run
chown "$owner:$owner" $lab $lab/state
cd /run
pivot_root . old
cd /
umount -l /old
rmdir /old
`;
/** Root gives up its ids for those of the lab, for good. */
const SETUP_AS_ROOT = `${setup("bind,ro")}exec setpriv --reuid "$owner" --regid "$owner" --clear-groups -- "$@"`;
const SETUP_AS_USER = `${setup("bind")}exec "$@"`;

/**
 * Capabilities that act on the whole machine and that no network needs: whoever is root in a lab without a user
 * namespace lacks them, as every root of another lab does.
 */
const KEPT_BACK = ["sys_boot", "sys_module", "sys_rawio", "sys_time", "mknod", "syslog", "mac_admin", "mac_override"]
  .concat(["audit_control", "audit_read", "wake_alarm", "block_suspend", "linux_immutable"])
  .map((name) => `-${name}`)
  .join();

/** What starts a command of a lab without those capabilities, before the command itself. */
export const WITHOUT_MACHINE_RIGHTS = ["setpriv", `--inh-caps=${KEPT_BACK}`, `--bounding-set=${KEPT_BACK}`, "--"];

/** /etc is read in the lab's own namespaces, to be copied; nobody there is to write to it. */
const SETUP_PRIVILEGED = `${setup("bind,ro")}mount -o remount,bind,ro /etc
exec "$@"`;

/** The first process of the lab. */
const INIT = "/usr/bin/tini";

/**
 * Where the lab's first process is, as a path inside.
 * @param tools folder of additional tools, or an empty string
 * @throws PodwireError "NoInit"
 */
export function labInit(tools: string): string {
  if ([tools, ""].some((root) => existsSync(`${root}${INIT}`))) return `${LAB_ROOT}${INIT}`;
  throw new PodwireError("NoInit", "every machine needs tini, which is not here; run: podwire doctor");
}

/** Says that the user namespace is there, waits for the id maps, goes on. */
const MAP_SCRIPT = 'echo >&4; read -r _ <&4 || exit 125; exec "$@"';
/**
 * Shows a folder read-only at another place, in the outer user namespace. Where a mount namespace passes to a user
 * namespace below, such a mount cannot be made writable again (mount_namespaces(7), locked flags); root's labs get that
 * by their own set-up. Flags that the folder's own mount has from above are locked as well, and have to be named.
 * Arguments: folder, place, then the command.
 */
const LOCK_SCRIPT = `set -e
mount --bind -- "$1" "$2"
for flags in ro ro,nodev ro,nosuid,nodev ro,nosuid,nodev,noexec; do
  ! mount -o "remount,bind,$flags" -- "$2" 2>/dev/null || break
done
shift 2
exec "$@"
`;
/** Joins a control group first: the namespace of groups that follows shows it as the highest. */
const JOIN_SCRIPT = 'echo $$ >"$1" || exit 125; shift; exec "$@"';
/** Folders of every machine (FHS 3.0) that can be covered while a lab is set up. */
const PLACES = ["/media", "/srv", "/mnt", "/opt"];

/**
 * Where layers can be shown: nowhere near what a lab is made from, since the kernel makes no overlay of a folder with
 * a locked mount in it (fs/namespace.c, clone_private_mount).
 */
function placeFor({ program, node, tools, state, images }: StageSources): string | undefined {
  const sources = [program, node, tools, state, images?.layers ?? "", images?.socket ?? ""];
  return PLACES.find((place) => {
    const isFree = sources.every((source) => source !== place && !source.startsWith(`${place}/`));
    return isFree && (statSync(place, { throwIfNoEntry: false })?.isDirectory() ?? false);
  });
}

const LAST_MAP_SCRIPT = `${MAP_SCRIPT} 4<&-`;

/** Everything of the lab lives in these; the death of this process kills all of them. */
const NAMESPACES = [
  "--mount",
  "--pid",
  "--net",
  "--uts",
  "--ipc",
  "--fork",
  "--kill-child=SIGKILL",
  "--mount-proc",
  "--propagation",
  "private",
];

/**
 * Starts a program as the first in new user, mount, pid, network, uts, ipc and cgroup namespaces, under a reaping init.
 * When the returned process or this one dies, by SIGKILL too, the kernel ends everything inside.
 * @param init path of tini, or of another reaping init that takes `-- program args`
 * @param command absolute program and arguments, as paths inside
 * @param options `cgroup`: folder of a control group that all of it is in; `privileged`: without a user namespace, which
 *   takes root
 * @throws PodwireError when namespaces or id maps are refused
 */
export async function enterStage(
  sources: StageSources,
  init: string,
  command: readonly string[],
  log: number | "inherit",
  { cgroup, privileged = false }: { readonly cgroup?: string; readonly privileged?: boolean } = {},
): Promise<{ child: ChildProcess; ids: IdPlan }> {
  const ids = planIds(privileged);
  const inner = ["setpriv", "--pdeathsig", "KILL", "--", "unshare", ...NAMESPACES];
  const stage = stageArgv(ids, sources, inner);
  const argv = cgroup === undefined ? stage : ["/bin/sh", "-c", JOIN_SCRIPT, "sh", `${cgroup}/cgroup.procs`, ...stage];
  keepDescriptors();
  const child = spawn(argv[0] as string, [...argv.slice(1), init, "--", ...command], {
    stdio: ["ignore", log, log, "ipc", "pipe"],
    env: { PATH, ...nodeEnvironment() },
  });
  const gate = child.stdio[4] as Socket;
  await gateOpened(child, gate);
  if (ids.kind !== "machine") await writeIdMaps(child.pid as number, ids);
  if (ids.kind === "subid" || ids.kind === "single") {
    const bounds = await Bounds.set(child.pid as number);
    const opened = gateOpened(child, gate);
    gate.write("\n");
    await opened;
    await bounds.mapInner(ids);
  }
  gate.end("\n");
  return { child, ids };
}

function nodeEnvironment(): Record<string, string> {
  const options = process.env["PODWIRE_NODE_OPTIONS"];
  return options ? { NODE_OPTIONS: options } : {};
}

/** Arguments of the set-up's script. */
function setupWords({ program, node, tools, state, images }: StageSources, owner: string): string[] {
  return [program, node, tools, state, images?.layers ?? "", images?.socket ?? "", owner];
}

function stageArgv(ids: IdPlan, sources: StageSources, inner: readonly string[]): string[] {
  if (ids.kind === "machine") return privilegedArgv(sources, inner);
  return ids.kind === "root" ? rootArgv(sources, inner) : userArgv(sources, inner);
}

/** Every namespace but a user namespace. Its root is the machine's, though not on the machine's files. */
function privilegedArgv(sources: StageSources, inner: readonly string[]): string[] {
  const script = ["/bin/sh", "-c", SETUP_PRIVILEGED, "sh", ...setupWords(sources, "0")];
  const gate = ["/bin/sh", "-c", LAST_MAP_SCRIPT, "sh"];
  const own = ["unshare", "--mount", "--propagation", "private", "--"];
  return [...own, ...script, ...gate, ...WITHOUT_MACHINE_RIGHTS, ...inner, "--cgroup", "--"];
}

function rootArgv(sources: StageSources, inner: readonly string[]): string[] {
  const script = ["/bin/sh", "-c", SETUP_AS_ROOT, "sh", ...setupWords(sources, String(ROOT_LAB_IDS.first))];
  const gate = ["unshare", "--user", "--", "/bin/sh", "-c", LAST_MAP_SCRIPT, "sh"];
  // The files of root's own control group are not those of the lab's ids: a namespace to mount it in does no harm.
  return ["unshare", "--mount", "--propagation", "private", "--", ...script, ...gate, ...inner, "--cgroup", "--"];
}

/**
 * An outer user namespace, whose bounds hold for the one in it (see {@link Bounds}), and the lab's own. The namespace
 * of control groups belongs to the outer one: it hides the path of our own group, and nobody inside can mount it.
 */
function userArgv(sources: StageSources, inner: readonly string[]): string[] {
  const { images } = sources;
  const place = images && placeFor(sources);
  const shown = images && place !== undefined ? { ...sources, images: { ...images, layers: place } } : sources;
  const script = ["/bin/sh", "-c", SETUP_AS_USER, "sh", ...setupWords(shown, "0")];
  const gate = (words: string): string[] => ["--", "/bin/sh", "-c", words, "sh"];
  const outer = ["unshare", "--user", "--cgroup", ...(place === undefined ? [] : ["--mount"]), ...gate(MAP_SCRIPT)];
  const locked = images && place !== undefined ? ["/bin/sh", "-c", LOCK_SCRIPT, "sh", images.layers, place] : [];
  return [...outer, ...locked, "unshare", "--user", ...gate(LAST_MAP_SCRIPT), ...inner, "--", ...script];
}

function gateOpened(child: ChildProcess, gate: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const refused = (why: string): void => {
      reject(
        new PodwireError("NamespacesRefused", `could not make the lab's namespaces (${why}); run: podwire doctor`),
      );
    };
    gate.once("data", () => resolve());
    child.once("error", (error) => refused(error.message));
    child.once("exit", (code, signal) => refused(`exit ${code ?? signal}`));
  });
}
