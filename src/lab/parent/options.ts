import type { ClusterConfig } from "#lab/config/index.ts";
import type { StageSources } from "#lab/stage/index.ts";
import type { KeptState } from "./kept.ts";

/** Where the program's files are on the host. Absolute paths. */
export interface Installation extends Omit<StageSources, "state" | "images"> {
  /** Folder with manifests/ and examples/. */
  readonly assets: string;
}

/** How a cluster is run. */
export interface ClusterOptions {
  readonly config: ClusterConfig;
  readonly installation: Installation;
  /** Where the cluster is kept beyond its end; absent: it goes with it. */
  readonly kept?: KeptState;
  /** performance.now() of the moment from which durations count. */
  readonly startedAt: number;
}
