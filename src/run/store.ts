import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { PodwireError } from "#base/errors.ts";
import { lockFile, tryLockFile } from "#kernel/locks/index.ts";
import { nextAddress } from "./addresses.ts";
import { collide, type PublishedPort, type RunNetwork } from "./model.ts";

/** What is known of one container. */
export interface RunRecord {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly network: RunNetwork;
  /** Number of the signal that asks the container's program to end. */
  readonly stopSignal: number;
  /** Milliseconds since 1970 at which its program was started. */
  readonly started?: number;
}

/** What ends the processes of a container whose keeper is gone. */
export type EndContainer = (folder: string, id: string) => Promise<void>;

/**
 * The containers of a node, each in a folder of its own, held by the process that keeps it:
 *
 *     lock          held (flock) while anything of the node's network is looked at or changed
 *     ID/lock       held by the container's keeper as long as it lives
 *     ID/run.json   what it has; written before the first thing of it is made, so that nothing can be left unknown
 *
 * A folder whose lock is free belongs to a keeper that was killed: {@link Runs.sweep} takes away what it had.
 */
export class Runs {
  readonly #folder: string;

  /** @param folder in memory, for root only, such as `/run/podwire-run` */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  /** Waits until no other process looks at or changes the node's network. @returns what lets the next one in */
  lock(): Promise<() => void> {
    return lockFile(`${this.#folder}/lock`, 60_000);
  }

  folderOf(id: string): string {
    return `${this.#folder}/${id}`;
  }

  /** All containers that are written down, the oldest first. */
  list(): readonly RunRecord[] {
    const records = this.#ids().flatMap((id) => this.#read(id) ?? []);
    return records.sort((a, b) => a.created - b.created);
  }

  /** The container of a name, an id or the beginning of one. @throws PodwireError "NoSuchContainer" */
  find(text: string): RunRecord {
    const all = this.list();
    const found = all.find(({ name, id }) => name === text || id === text);
    const beginning = all.filter(({ id }) => text !== "" && id.startsWith(text));
    const record = found ?? (beginning.length === 1 ? beginning[0] : undefined);
    // In Docker's words.
    if (!record) throw new PodwireError("NoSuchContainer", `No such container: ${text}`);
    return record;
  }

  /** The lowest address that no container has. The lock is held. @throws PodwireError "NoAddress" */
  freeAddress(): string {
    return nextAddress(this.list().flatMap(({ network }) => network.attachment?.address ?? []));
  }

  /**
   * Refuses what another container has already. The lock is held.
   * @throws PodwireError "Conflict" in Docker's words
   */
  check(name: string, ports: readonly PublishedPort[]): void {
    for (const other of this.list()) {
      if (other.name === name)
        throw new PodwireError(
          "Conflict",
          `Conflict. The container name "/${name}" is already in use by container "${other.id}". You have to remove (or rename) that container to be able to reuse that name.`,
        );
      const taken = ports.find((port) => other.network.ports.some((theirs) => collide(port, theirs)));
      if (taken)
        throw new PodwireError(
          "Conflict",
          `Bind for ${taken.ip ?? "0.0.0.0"}:${taken.host} failed: port is already allocated (by container ${other.name})`,
        );
    }
  }

  /** Writes a new container down, kept by this process from now on. The lock is held. */
  claim(record: RunRecord): void {
    const folder = this.folderOf(record.id);
    mkdirSync(folder, { mode: 0o700 });
    // Given back by the kernel when this process ends.
    if (!tryLockFile(`${folder}/lock`)) throw new Error(`${folder}/lock is held by another process`);
    this.update(record);
  }

  update(record: RunRecord): void {
    const file = `${this.folderOf(record.id)}/run.json`;
    writeFileSync(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  /** Forgets a container, with its files. Nothing of it is left elsewhere. */
  forget(id: string): void {
    rmSync(this.folderOf(id), { recursive: true, force: true });
  }

  /**
   * Takes away what killed keepers left. The lock is held.
   * @param end ends a container's processes
   * @param remove takes its network away
   */
  async sweep(end: EndContainer, remove: (network: RunNetwork) => Promise<void>): Promise<void> {
    for (const id of this.#ids()) {
      const release = tryLockFile(`${this.folderOf(id)}/lock`);
      if (!release) continue;
      try {
        await end(this.folderOf(id), id);
        const record = this.#read(id);
        if (record) await remove(record.network);
        this.forget(id);
      } finally {
        release();
      }
    }
  }

  /** Whether a container's keeper lives. */
  isKept(id: string): boolean {
    if (!existsSync(this.folderOf(id))) return false;
    const release = tryLockFile(`${this.folderOf(id)}/lock`);
    release?.();
    return release === undefined;
  }

  #ids(): string[] {
    return readdirSync(this.#folder).filter((name) => /^[0-9a-f]{64}$/.test(name));
  }

  #read(id: string): RunRecord | undefined {
    try {
      return JSON.parse(readFileSync(`${this.folderOf(id)}/run.json`, "utf8")) as RunRecord;
    } catch (error) {
      // Killed before it was written, or forgotten meanwhile: it has nothing.
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }
}
