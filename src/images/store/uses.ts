import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { tryLock, tryLockFile } from "#kernel/locks/index.ts";
import { namesIn } from "./files.ts";
import type { StoreLayout } from "./layout.ts";

/** What a running cluster has had of a store: it stays while the cluster runs. */
export class ClusterUses {
  readonly #fd: number;
  readonly #path: string;
  readonly #digests = new Set<string>();

  private constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = path;
  }

  /** Begins. @throws Error when another process stands for the cluster */
  static begin(layout: StoreLayout, cluster: string): ClusterUses {
    const path = join(layout.uses, cluster);
    const fd = openSync(path, "a+", 0o600);
    if (!tryLock(fd, path)) {
      closeSync(fd);
      throw new Error(`${path} is locked: another process runs cluster ${cluster}`);
    }
    ftruncateSync(fd);
    return new ClusterUses(fd, path);
  }

  /** Notes the digest of a manifest, before the image is given out. */
  add(manifest: string): void {
    if (this.#digests.has(manifest)) return;
    this.#digests.add(manifest);
    writeSync(this.#fd, `${manifest}\n`);
  }

  /** The cluster has ended. */
  end(): void {
    rmSync(this.#path, { force: true });
    closeSync(this.#fd);
  }
}

/** Manifests that running clusters have had, each with a cluster; what killed ones left is removed. */
export function manifestsInUse(layout: StoreLayout): Map<string, string> {
  const found = new Map<string, string>();
  for (const cluster of namesIn(layout.uses)) {
    const path = join(layout.uses, cluster);
    const release = tryLockFile(path);
    if (release) {
      rmSync(path, { force: true });
      release();
      continue;
    }
    for (const line of readFileSync(path, "utf8").split("\n")) if (line !== "") found.set(line, cluster);
  }
  return found;
}
