import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir, userInfo } from "node:os";
import { join } from "node:path";
import { PodwireError } from "#base/errors.ts";
import { makeFolder } from "#base/folders.ts";
import { tryLock } from "#kernel/locks/index.ts";

/** Version of the state directory's layout. A newer one is refused, never guessed. */
const VERSION = 1;
/** sun_path of a unix socket, with its closing NUL (unix(7)). */
const MAX_SOCKET_PATH = 107;

/** What `up` writes for other commands to read. */
export interface StateRecord {
  readonly pid: number;
  readonly address: string;
  readonly kubeconfig: string;
  readonly socket: string;
}

/** Folder of all clusters' state: $XDG_STATE_HOME/podwire. */
export function stateHome(env: NodeJS.ProcessEnv = process.env): string {
  return join(env["XDG_STATE_HOME"] || join(homedir(), ".local", "state"), "podwire");
}

/** The state directory of one cluster (0700), locked while the cluster runs. */
export class StateDirectory {
  readonly path: string;
  readonly #lock: number;

  private constructor(path: string, lock: number) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Opens the directory for a cluster that starts, and removes what a killed one left in it.
   * @throws PodwireError "AlreadyRunning", "NewerState"
   */
  static open(name: string): StateDirectory {
    const path = join(stateHome(), name);
    makePrivate(path);
    const versionFile = join(path, "version");
    const found = existsSync(versionFile) ? Number(readFileSync(versionFile, "utf8")) : VERSION;
    if (found !== VERSION) {
      throw new PodwireError(
        "NewerState",
        `${path} was written by another version of podwire (layout ${found}, this one knows ${VERSION}); remove it or use --name`,
      );
    }
    const lock = openSync(join(path, "lock"), "w", 0o600);
    if (!tryLock(lock)) {
      closeSync(lock);
      throw new PodwireError(
        "AlreadyRunning",
        `cluster "${name}" is already running; use another --name, or: podwire down --name ${name}`,
      );
    }
    const state = new StateDirectory(path, lock);
    state.#clean();
    writeFileSync(versionFile, `${VERSION}\n`, { mode: 0o600 });
    mkdirSync(state.disk, { mode: 0o700 });
    return state;
  }

  /** The folder that the control plane keeps its log in: belongs to the lab's own user. */
  get disk(): string {
    return join(this.path, "disk");
  }

  /** The kubeconfig of the cluster's administrator. */
  get kubeconfig(): string {
    return join(this.path, "kubeconfig");
  }

  /** Where the commands `status`, `down`, … find this cluster. */
  get socket(): string {
    return socketPath(this.path);
  }

  /** Writes a file of mode 0600, whole or not at all. */
  write(name: string, content: string): void {
    const temporary = join(this.path, `.${name}.new`);
    writeFileSync(temporary, content, { mode: 0o600 });
    renameSync(temporary, join(this.path, name));
  }

  /** Removes everything and lets go of the lock. */
  remove(): void {
    this.#clean();
    rmSync(this.path, { recursive: true, force: true });
    closeSync(this.#lock);
  }

  #clean(): void {
    rmSync(this.socket, { force: true });
    for (const entry of readdirSync(this.path)) {
      if (entry !== "lock" && entry !== "version") rmSync(join(this.path, entry), { recursive: true, force: true });
    }
  }
}

/** Makes the folder for its owner alone. @throws PodwireError "StateRefused" */
export function makePrivate(path: string): void {
  try {
    makeFolder(path);
    chmodSync(path, 0o700);
  } catch (error) {
    throw new PodwireError(
      "StateRefused",
      `state cannot be kept in ${path} (${(error as Error).message}); set XDG_STATE_HOME to a folder that you can write`,
      {},
      error,
    );
  }
}

/**
 * Path of a cluster's control socket: in its state directory, or in the user's run-time directory where that path
 * would be too long for a unix socket.
 */
export function socketPath(directory: string): string {
  const inState = join(directory, "control.sock");
  if (Buffer.byteLength(inState) <= MAX_SOCKET_PATH) return inState;
  const runtime = process.env["XDG_RUNTIME_DIR"];
  const name = `podwire-${directory.split("/").at(-1)}.sock`;
  if (runtime && owned(runtime) && Buffer.byteLength(join(runtime, name)) <= MAX_SOCKET_PATH)
    return join(runtime, name);
  throw new PodwireError(
    "SocketPath",
    `${inState} is too long for a socket (at most ${MAX_SOCKET_PATH} bytes); set XDG_STATE_HOME to a shorter path`,
  );
}

function owned(directory: string): boolean {
  return lstatSync(directory, { throwIfNoEntry: false })?.uid === userInfo().uid;
}

/** What a running cluster wrote; undefined when there is none of that name. */
export function readState(name: string): StateRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(stateHome(), name, "state.json"), "utf8")) as StateRecord;
  } catch {
    return undefined;
  }
}

/**
 * Removes what a killed cluster left: its state directory with a socket that nobody answers. One that runs or starts
 * holds the lock and keeps everything; so does one of another version's layout.
 */
export function removeRemains(name: string): void {
  const path = join(stateHome(), name);
  let lock: number;
  try {
    lock = openSync(join(path, "lock"), constants.O_RDWR);
  } catch {
    return;
  }
  try {
    if (!tryLock(lock) || Number(readFileSync(join(path, "version"), "utf8")) !== VERSION) return;
    rmSync(socketPath(path), { force: true });
    rmSync(path, { recursive: true, force: true });
  } catch {
    // Not ours to remove, or already being removed by another command.
  } finally {
    closeSync(lock);
  }
}

/** Names of clusters that have a state directory. */
export function clusterNames(): string[] {
  try {
    return readdirSync(stateHome());
  } catch {
    return [];
  }
}
