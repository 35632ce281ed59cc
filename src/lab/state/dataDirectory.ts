import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { PodwireError } from "#base/errors.ts";
import { tryLock } from "#kernel/locks/index.ts";
import { makePrivate } from "./directory.ts";

/** Version of the layout. Another one is refused, never guessed. */
const VERSION = "podwire-data 1\n";

/** A folder (0700) that keeps a cluster beyond its end: its objects, its authority and keys, and what it was made from. */
export class DataDirectory {
  readonly path: string;
  readonly #lock: number;

  private constructor(path: string, lock: number) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Opens the folder, which is made when missing, for one cluster alone.
   * @throws PodwireError "DataRefused" for a folder with other things in it, "DataInUse", "StateRefused"
   */
  static open(given: string): DataDirectory {
    const path = resolve(given);
    const versionFile = join(path, "version");
    if (existsSync(path)) {
      const found = existsSync(versionFile) ? readFileSync(versionFile, "utf8") : undefined;
      if (found !== undefined && found !== VERSION)
        throw new PodwireError("DataRefused", `${path} was written by another version of podwire (${found.trim()})`);
      const others = readdirSync(path).filter((entry) => entry !== "lock");
      if (found === undefined && others.length > 0)
        throw new PodwireError(
          "DataRefused",
          `${path} holds other things (${others[0]}) and no cluster; give an empty folder, or one that does not exist`,
        );
    }
    makePrivate(path);
    const lock = openSync(join(path, "lock"), "a", 0o600);
    if (!tryLock(lock)) {
      closeSync(lock);
      throw new PodwireError("DataInUse", `${path} is in use by a running cluster`);
    }
    writeFileSync(versionFile, VERSION, { mode: 0o600 });
    const directory = new DataDirectory(path, lock);
    mkdirSync(directory.disk, { recursive: true, mode: 0o700 });
    mkdirSync(join(path, "pki"), { recursive: true, mode: 0o700 });
    return directory;
  }

  /** The folder that the control plane keeps its log in: belongs to the lab's own user. */
  get disk(): string {
    return join(this.path, "disk");
  }

  /** A file's content; undefined when there is none. */
  read(name: string): string | undefined {
    const file = join(this.path, name);
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  }

  /** Writes a file of mode 0600, whole or not at all. */
  write(name: string, content: string): void {
    const file = join(this.path, name);
    writeFileSync(`${file}.new`, content, { mode: 0o600, flush: true });
    renameSync(`${file}.new`, file);
  }

  /** Lets go of the lock; everything stays. */
  close(): void {
    closeSync(this.#lock);
  }
}
