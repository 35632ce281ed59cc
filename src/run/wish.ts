import type { NetworkMode, PublishedPort } from "./model.ts";

/** What `podwire run` was asked for, on its way from the command line to the node. */
export interface RunWish {
  readonly image: string;
  /** Replaces the image's command; empty: the image's own. */
  readonly command: readonly string[];
  readonly network: NetworkMode;
  readonly ports: readonly PublishedPort[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** `user`, `uid`, `user:group` or `uid:gid`. */
  readonly user?: string;
  readonly stdin: boolean;
  readonly tty: boolean;
  readonly detach: boolean;
  readonly hostname?: string;
  readonly name?: string;
  readonly explain: boolean;
}

/** What `podwire stop` was asked for. */
export interface StopWish {
  /** Names, ids or their beginnings. */
  readonly containers: readonly string[];
  /** Seconds that a container may take to end by itself. */
  readonly seconds: number;
}

/** Exit codes as `docker run` has them; all others are the container's. */
export const EXIT = {
  /** Podwire itself failed. */
  own: 125,
  /** The container's command cannot be invoked. */
  notInvoked: 126,
  /** The container's command cannot be found. */
  notFound: 127,
} as const;

/** The exit code for a start that failed, by its words (docker/cli, runStartContainerErr). */
export function startExitCode(message: string): number {
  if (!message.includes("unable to start container process")) return EXIT.own;
  if (/no such file or directory|not found in \$PATH/.test(message)) return EXIT.notFound;
  return /permission denied|is a directory/.test(message) ? EXIT.notInvoked : EXIT.own;
}
