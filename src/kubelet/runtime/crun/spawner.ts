import { closeSync, existsSync, mkdirSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { isErrno } from "#kernel/ffi/index.ts";
import type { Mount } from "#kernel/mounts/index.ts";
import {
  type Child,
  ConsoleSocket,
  capabilityNames,
  type ExitStatus,
  makePipe,
  permittedCapabilities,
  type Spawner,
  type SpawnRequest,
} from "#kernel/process/index.ts";
import { ociConfig } from "./config.ts";
import { executed } from "./executed.ts";
import { openJoined } from "./joined.ts";
import { findCrun, installHint } from "./program.ts";
import { BUNDLE, STARTED } from "./unfinished.ts";

/** The words of crun for a container that it cannot start. */
export class CrunError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "CrunError";
  }
}

/**
 * crun looks at what is mounted there before it reads its options, and refuses what it does not know; with
 * `--cgroup-manager=disabled` it touches nothing in it. Seen by crun alone (crun 1.8, libcrun_get_cgroup_mode).
 */
const NO_CGROUPS: Mount = { target: "/sys/fs/cgroup", type: "tmpfs", readonly: true };

/** Descriptor of crun at which it writes the container's process id. */
const PID_END = 3;
const PID_DIGITS = 32;

/**
 * crun would give each container a session keyring, and a user may have 200 keys (kernel.keys.maxkeys): the rest of a
 * node's containers would not start ("create keyring …: Disk quota exceeded"). The keyring of the cluster, which is not
 * that of whoever started it (leaveSessionKeyring), is in all of them, as with our own spawner.
 */
const NO_KEYRING = "--no-new-keyring";

/** Starts containers by crun, as our own spawner does by itself. */
export class CrunSpawner {
  readonly #state: string;
  readonly #spawner: Spawner;
  readonly #permitted = capabilityNames(permittedCapabilities());

  /** @param state crun's `--root`: what it notes of containers that run */
  constructor(state: string, spawner: Spawner) {
    this.#state = state;
    this.#spawner = spawner;
  }

  /**
   * Starts a container: `crun run` stays beside it, tells how it ends and ends with it.
   *
   *     agent ──▶ crun run ──▶ first process of the container
   *       ◀── 3: its process id, when it has been started
   *
   * @param folder the container's own, with the folders of its root
   * @throws CrunError; SysError when namespaces that it should enter are gone
   */
  async spawn(id: string, folder: string, request: SpawnRequest): Promise<Child> {
    const program = findCrun();
    if (program === undefined) throw new CrunError(`crun is not on this machine; ${installHint}`);
    const joined = openJoined(request);
    const pipe = makePipe();
    const ours = new Set([pipe.read, pipe.write]);
    const close = (fd: number) => ours.delete(fd) && closeSync(fd);
    let console: ConsoleSocket | undefined;
    try {
      writeBundle(folder, ociConfig(withStagedParts(withoutMissing(request), folder), joined.paths, this.#permitted));
      console = request.tty ? new ConsoleSocket(`${folder}/tty`, this.#spawner.poll) : undefined;
      const shim = await this.#spawner.spawn(this.#command(program, id, folder, request, pipe.write));
      close(pipe.write);
      const pid = await this.#pid(pipe.read);
      if (pid === undefined) throw new CrunError(await failureOf(shim, folder));
      await executed(pid, shim.pid);
      writeFileSync(`${folder}/${STARTED}`, "");
      const pty = await console?.take();
      return { ...this.#child(pid, shim), ...(pty === undefined ? {} : { pty }) };
    } finally {
      console?.close();
      joined.close();
      for (const fd of [...ours]) close(fd);
    }
  }

  /** Deletes what crun has noted of a container that has ended. */
  async remove(id: string): Promise<void> {
    await rm(`${this.#state}/${id}`, { recursive: true, force: true });
  }

  #command(program: string, id: string, folder: string, request: SpawnRequest, pidEnd: number): SpawnRequest {
    const { root } = request.create ?? {};
    const own = (root?.mounts ?? []).filter(({ target }) => target === "/");
    const parts = stagedParts(root?.mounts ?? [], folder).map(({ source: target, mount }) => ({ ...mount, target }));
    const [stdin = null, stdout = null, stderr = null] = request.stdio;
    return {
      argv: [
        program,
        `--root=${this.#state}`,
        "--cgroup-manager=disabled",
        `--log=${folder}/crun.log`,
        "--log-format=json",
        "run",
        NO_KEYRING,
        `--bundle=${folder}/${BUNDLE}`,
        `--pid-file=/proc/self/fd/${PID_END}`,
        ...(request.tty ? [`--console-socket=${folder}/tty`] : []),
        id,
      ],
      env: { PATH: process.env["PATH"] ?? "" },
      stdio: [stdin, stdout, stderr, pidEnd],
      ...(request.cgroup === undefined ? {} : { cgroup: request.cgroup }),
      // The container has it from crun, which could not know whether it may be set.
      ...(request.oomScoreAdj === undefined ? {} : { oomScoreAdj: request.oomScoreAdj }),
      create: {
        namespaces: ["mount"],
        mounts: [NO_CGROUPS, ...parts, ...own.map((m) => ({ ...m, target: root?.directory ?? "" }))],
      },
    };
  }

  /** What crun writes when the container runs; undefined when it ends without. */
  #pid(end: number): Promise<number | undefined> {
    const { poll } = this.#spawner;
    return new Promise((resolve) => {
      poll.watch(end, () => {
        const text = Buffer.alloc(PID_DIGITS);
        const length = readSync(end, text);
        resolve(length > 0 ? Number(text.toString("latin1", 0, length)) : undefined);
        return false;
      });
    });
  }

  /** The container's process; how it ended, crun tells. */
  #child(pid: number, shim: Child): Child {
    const main = this.#adopt(pid);
    // It has ended and crun has collected it: there is nothing to enter or to signal any more.
    if (!main) return { pid: -1, pidfd: -1, exit: shim.exit, kill: () => {} };
    const exit = Promise.all([main.exit, shim.exit]).then(([, { code }]): ExitStatus => ({ code, signal: null }));
    return { ...main, exit };
  }

  #adopt(pid: number): Child | undefined {
    try {
      return this.#spawner.adopt(pid);
    } catch (error) {
      if (isErrno(error, "ESRCH")) return undefined;
      throw error;
    }
  }
}

/** What may be missing, and is, is not asked for. */
function withoutMissing(request: SpawnRequest): SpawnRequest {
  const { create } = request;
  if (!create?.root) return request;
  const { directory, mounts: all } = create.root;
  // What lies in the root itself is there only when that is mounted.
  const isThere = ({ optional, source }: Mount) =>
    !optional || source === undefined || source.startsWith(`${directory}/`) || existsSync(source);
  return { ...request, create: { ...create, root: { ...create.root, mounts: all.filter(isThere) } } };
}

/**
 * Parts of volumes, to which others write meanwhile: crun is given paths at which we have mounted them, as upstream's
 * kubelet gives them to runtimes (volume-subpaths).
 */
function stagedParts(mounts: readonly Mount[], folder: string): { source: string; mount: Mount }[] {
  const parts = mounts.filter(({ inside }) => inside !== undefined);
  return parts.map((mount, i) => ({ mount, source: `${folder}/parts/${i}` }));
}

function withStagedParts(request: SpawnRequest, folder: string): SpawnRequest {
  const { create } = request;
  if (!create?.root) return request;
  const staged = new Map(stagedParts(create.root.mounts, folder).map(({ mount, source }) => [mount, source]));
  const mounts = create.root.mounts.map((m) => ({ ...m, source: staged.get(m) ?? m.source }) as Mount);
  return { ...request, create: { ...create, root: { ...create.root, mounts } } };
}

function writeBundle(folder: string, config: object): void {
  mkdirSync(`${folder}/${BUNDLE}`, { recursive: true, mode: 0o700 });
  writeFileSync(`${folder}/${BUNDLE}/config.json`, JSON.stringify(config), { mode: 0o600 });
}

/** Why crun has ended: the last line of its log. */
async function failureOf(shim: Child, folder: string): Promise<string> {
  const { code, signal } = await shim.exit;
  const path = `${folder}/crun.log`;
  const lines = existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
  const last = lines.findLast((line) => line.startsWith("{"));
  if (last !== undefined) return (JSON.parse(last) as { msg: string }).msg;
  return signal === null ? `crun: exit status ${code}` : `crun: signal ${signal}`;
}
