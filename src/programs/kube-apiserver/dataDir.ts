import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PodwireError } from "#base/errors.ts";
import { makeFolder } from "#base/folders.ts";
import { tryLockFile } from "#kernel/locks/index.ts";

/** Version of the folder's layout. Another one is refused, never guessed. */
const VERSION = "podwire-apiserver 1\n";
const LOG = "store.log";

/** The folder of --data-dir, held by this process alone. */
export interface DataDir {
  /** The store's log in it. */
  readonly logFile: string;
  /** Lets go of it; everything stays. */
  close(): void;
}

/**
 * Opens the folder that keeps the objects: made when missing, for its owner alone.
 * @throws PodwireError "DataRefused" for a folder of something else, "DataInUse"; Error of the file system
 */
export function openDataDir(path: string): DataDir {
  const versionFile = join(path, "version");
  if (existsSync(path)) {
    const found = existsSync(versionFile) ? readFileSync(versionFile, "utf8") : undefined;
    if (found !== undefined && found !== VERSION)
      throw new PodwireError("DataRefused", `--data-dir ${path} was written by something else (${found.trim()})`);
    const others = readdirSync(path).filter((name) => !["lock", LOG].includes(name));
    if (found === undefined && others.length > 0)
      throw new PodwireError(
        "DataRefused",
        `--data-dir ${path} holds other things (${others[0]}); give an empty folder, or one that does not exist`,
      );
  }
  makeFolder(path);
  chmodSync(path, 0o700);
  const lockFile = join(path, "lock");
  const release = tryLockFile(lockFile);
  if (!release) {
    const holder = readFileSync(lockFile, "utf8").trim();
    throw new PodwireError("DataInUse", `--data-dir ${path} is in use by another process${holder && ` (${holder})`}`);
  }
  writeFileSync(lockFile, `pid ${process.pid}\n`, { mode: 0o600 });
  writeFileSync(versionFile, VERSION, { mode: 0o600 });
  return { logFile: join(path, LOG), close: release };
}
