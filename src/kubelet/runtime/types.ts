import { errorMessage } from "#base/errors.ts";
import { ProgramError } from "#kernel/process/index.ts";
import type { GroupPlan } from "../cgroups/index.ts";
import type { ContainerImage } from "../images/index.ts";
import { CrunError } from "./crun/index.ts";
import type { VolumeMountPoint } from "./rootPlan.ts";

/** What starts containers on a node: this program itself, or crun. The handlers that a RuntimeClass can name. */
export const RUNTIMES = ["podwire", "crun"] as const;
export type RuntimeName = (typeof RUNTIMES)[number];

/** Everything needed to start one run of a container. */
export interface ContainerSpec {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly podUid: string;
  readonly name: string;
  /** What starts it; absent: podwire. */
  readonly runtime?: RuntimeName;
  readonly image: ContainerImage;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly hostname: string;
  /** Path of the pod's network namespace; absent: the node's. */
  readonly netns?: string;
  /** Text of files by path: hosts, resolv.conf, hostname. */
  readonly etc: Readonly<Record<string, string>>;
  readonly volumes: readonly VolumeMountPoint[];
  readonly user?: { readonly uid: number; readonly gid: number; readonly groups: readonly number[] };
  /** Absent: all, for privileged containers. */
  readonly capabilities?: readonly string[];
  readonly privileged: boolean;
  /** Programs with file capabilities and set-user-ID work (allowPrivilegeEscalation). */
  readonly mayGainPrivileges?: boolean;
  /** Nothing of /proc is hidden or read-only. */
  readonly unmaskedProc?: boolean;
  /** Only volumes can be written to. */
  readonly readonlyRoot: boolean;
  readonly tty: boolean;
  readonly stdin: boolean;
  /** Its input ends with the first client that was attached. */
  readonly stdinOnce: boolean;
  readonly logPath: string;
  /** Its control group; it is made where the node has one. */
  readonly group?: GroupPlan;
  /** How readily the kernel ends it for want of memory (proc(5), oom_score_adj). Absent: as the agent. */
  readonly oomScoreAdj?: number;
  /** Folder at /dev/shm; absent: the pod's own. */
  readonly sharedMemory?: string;
  /** Settings of the pod's IPC namespace. */
  readonly sysctls: Readonly<Record<string, string>>;
}

/** Which namespaces of a pod a container shares, and with whom: descriptors of processes (pidfd_open(2)). */
export interface SharedNamespaces {
  /** Host name and, unless the node's is meant, IPC. Absent: this container makes them. */
  readonly pod?: number;
  /** Processes. Absent: the container's own. */
  readonly processes?: number | "node";
  readonly nodeIpc?: boolean;
}

/** What a new node agent needs to take a container over. */
export interface ContainerHandle {
  readonly id: string;
  readonly podUid: string;
  readonly pid: number;
  readonly logPath: string;
}

/** How a container ended. */
export interface ContainerExit {
  /** As `$?` of a shell; 137 when the kernel does not tell. */
  readonly exitCode: number;
  /** The process was not our child, so its exit status is lost. */
  readonly unknown?: boolean;
  /** Its memory did not suffice, and the kernel has ended it for that. */
  readonly outOfMemory?: boolean;
}

function reasonOf(error: unknown): string {
  if (error instanceof CrunError) return error.message;
  const why = error instanceof ProgramError ? `error during container init: ${error.message}` : errorMessage(error);
  return `runc create failed: unable to start container process: ${why}`;
}

/** The failure of a start in the words of a node with containerd, and runc or crun. */
export class ContainerStartError extends Error {
  constructor(error: unknown) {
    const why = `OCI runtime create failed: ${reasonOf(error)}`;
    super(`failed to create containerd task: failed to create shim task: ${why}: unknown`, { cause: error });
    this.name = "ContainerStartError";
  }
}
