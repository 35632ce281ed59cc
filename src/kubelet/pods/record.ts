import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { ContainerState, Pod } from "#api/index.ts";
import type { RuntimeName } from "../runtime/index.ts";
import type { ServedContainer } from "./deps.ts";
import type { ContainerIdentity } from "./security.ts";

/** What is kept of one container of a pod across a restart of the node agent. */
export interface ContainerRecord {
  /** Of the latest run. Written before its process starts, so that none can be without a record. */
  readonly id: string;
  readonly restartCount: number;
  /** As the pod named it. */
  readonly image: string;
  readonly imageId: string;
  readonly logPath: string;
  readonly startedAt: string;
  /** As whom its first process was started; absent when it has none. */
  readonly user?: ContainerIdentity;
  /** The signal that asks the program to end, where the image names one. */
  readonly stopSignal?: number;
  /** What the node's serving process was told, for a container that it answers for. */
  readonly served?: ServedContainer;
  /** It has no process. */
  readonly isLight?: true;
  /** How the latest run ended, if it has. */
  readonly ended?: ContainerState["terminated"];
  /** How the run before it ended. */
  readonly last?: ContainerState["terminated"];
}

/** The pod's network namespace. Written before it is made; without addresses it may be there or not. */
export interface SandboxRecord {
  readonly id: string;
  /** Path of the pinned namespace. */
  readonly netns: string;
  readonly ips: readonly string[];
}

/** What is kept of a pod: enough to take it over, and to clean up after it when the API has forgotten it. */
export interface PodRecord {
  readonly pod: Pod;
  readonly startTime: string;
  readonly sandbox?: SandboxRecord;
  /** What starts its containers, once that is decided. */
  readonly runtime?: RuntimeName;
  /** Id of the process that holds the pod's namespaces. */
  readonly holder?: string;
  readonly containers: Readonly<Record<string, ContainerRecord>>;
}

/** The records of all pods of a node, one file each. */
export class PodRecords {
  readonly #folder: string;

  /** @param folder in memory, for root only */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  /**
   * All records. A file that cannot be read as one is left out and deleted, and so is what an agent that was killed had
   * not put in its place yet: the pod's record from before counts.
   */
  load(): PodRecord[] {
    const found: PodRecord[] = [];
    for (const name of readdirSync(this.#folder)) {
      const path = `${this.#folder}/${name}`;
      try {
        if (!name.endsWith(".json")) throw new Error("no whole record");
        found.push(JSON.parse(readFileSync(path, "utf8")) as PodRecord);
      } catch {
        rmSync(path, { force: true });
      }
    }
    return found;
  }

  /** Writes a record, replacing the pod's earlier one in one step. */
  save(record: PodRecord): void {
    const path = this.#path(record.pod);
    writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  remove(pod: Pod): void {
    rmSync(this.#path(pod), { force: true });
  }

  #path(pod: Pod): string {
    return `${this.#folder}/${pod.metadata.uid}.json`;
  }
}
