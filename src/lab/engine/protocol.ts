import type { MachineModel, Topology } from "#lab/topology/index.ts";

/** A process of the lab that the engine starts and keeps running. */
export interface ProcessSpec {
  readonly name: string;
  /** Machine in whose namespaces it runs. */
  readonly machine: string;
  readonly argv: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  /** File inside the machine that takes its output. */
  readonly log: string;
  /** Names of descriptors it gets as 3, 4, …: host listeners by id, machine listeners as "machine/address:port". */
  readonly descriptors: readonly string[];
}

/** A socket that listens in a machine's network from its start. */
export interface MachineListener {
  readonly machine: string;
  readonly address: string;
  readonly port: number;
}

/** Everything the engine needs to build a lab. */
export interface BootRequest {
  readonly topology: Topology;
  /** By machine: absolute path inside → content. */
  readonly files: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Sockets that listen before any process runs, so that clients that come early wait instead of failing. */
  readonly listeners: readonly MachineListener[];
  readonly processes: readonly ProcessSpec[];
  /** By machine: where in it the folder of the machine's disk that outlives processes is mounted. */
  readonly stateMounts: Readonly<Record<string, string>>;
  /** Addresses at which the router answers DNS queries; empty = no resolver. */
  readonly resolver: readonly string[];
  /** Folder of a control group in which each machine gets one; absent: machines have none. */
  readonly cgroup?: string;
  /** The lab is in no user namespace. */
  readonly privileged?: boolean;
  /** The router carries connections outside; absent: what is outside cannot be reached. */
  readonly outside?: OutsidePlan;
}

/** What the way outside has to know. */
export interface OutsidePlan {
  /** Networks that are inside: of nodes (the router's own), and those that it does not route. */
  readonly inside: { readonly own: readonly string[]; readonly others: readonly string[] };
}

/** Everything the engine needs to build one machine. */
export interface MachinePlan {
  readonly model: MachineModel;
  /** Absolute path inside → content, written when the machine is new. */
  readonly files: Readonly<Record<string, string>>;
  readonly listeners: readonly MachineListener[];
  readonly processes: readonly ProcessSpec[];
  readonly stateMount?: string;
  /** Folder of the control group that it gets for its own. */
  readonly cgroup?: string;
  /** What it can change of the kernel is only what belongs to its own namespaces. */
  readonly privileged?: boolean;
}

/**
 * The machines of a lab in the order in which their first processes stand in the list; those without any come first.
 */
export function machinePlans({
  topology,
  files,
  listeners,
  processes,
  stateMounts,
  cgroup,
  privileged,
}: BootRequest): MachinePlan[] {
  const rank = ({ name }: MachineModel): number => processes.findIndex((spec) => spec.machine === name);
  return topology.machines
    .toSorted((a, b) => rank(a) - rank(b))
    .map((model) => {
      const stateMount = stateMounts[model.name];
      return {
        model,
        files: files[model.name] ?? {},
        listeners: listeners.filter((l) => l.machine === model.name),
        processes: processes.filter((p) => p.machine === model.name),
        ...(stateMount === undefined ? {} : { stateMount }),
        ...(cgroup === undefined ? {} : { cgroup: `${cgroup}/${model.name}` }),
        ...(privileged === undefined ? {} : { privileged }),
      };
    });
}

/** What can be done to a machine of a running lab. `stop` cuts its power, `pause` freezes its processes. */
export type MachineAction = "start" | "stop" | "pause" | "resume" | "remove";

/** How a machine is. */
export type MachineState = "running" | "paused" | "stopped";

/** Where a connection to a host listener goes: dialled from a machine's network namespace. */
export interface ForwardTarget {
  readonly machine: string;
  readonly address: string;
  readonly port: number;
}

/** Something that only the parent can do: it stands in the host's network. */
export type OutsideRequest =
  /** A connection. */
  | { readonly what: "tcp"; readonly address: string; readonly port: number }
  /** A socket on a free port. The engine connects it: one that came connected could not be written to. */
  | { readonly what: "udp"; readonly family: "udp4" | "udp6" }
  /** A DNS query for the host's name servers, base64. */
  | { readonly what: "dns"; readonly transport: "udp" | "tcp"; readonly query: string };

/** What came of it. Those for "tcp" and "udp" come with the socket. */
export type OutsideAnswer =
  | { readonly ok: true; readonly reply?: string }
  | { readonly ok: false; readonly code: string };

/** Messages to the engine. Those with a handle are sent with a listening socket. */
export type ToEngine =
  | { readonly type: "listener"; readonly id: string }
  | { readonly type: "boot"; readonly boot: BootRequest }
  | { readonly type: "forward"; readonly id: string; readonly target: ForwardTarget }
  | { readonly type: "unforward"; readonly id: string }
  | { readonly type: "signal"; readonly process: string; readonly signal: number }
  /** Answered by "done" with the same request number. */
  | { readonly type: "add-machine"; readonly request: number; readonly plan: MachinePlan }
  | { readonly type: "machine"; readonly request: number; readonly machine: string; readonly action: MachineAction }
  | { readonly type: "outside"; readonly id: number; readonly answer: OutsideAnswer };

/** State of a process of the lab. */
export interface ProcessState {
  readonly name: string;
  readonly machine: string;
  /** `stopped`: its machine is. */
  readonly state: "running" | "restarting" | "stopped";
  /** As the engine's pid namespace sees it. */
  readonly pid: number;
  readonly restarts: number;
  readonly reason?: string;
}

/** Messages from the engine. Times are milliseconds since its start. */
export type FromEngine =
  | { readonly type: "phase"; readonly name: string; readonly ms: number }
  /** A machine is new or has changed; `init` is the pid of its first process as the engine sees it. */
  | {
      readonly type: "machine";
      readonly machine: string;
      readonly state: MachineState | "removed";
      readonly init?: number;
      readonly reason?: string;
    }
  | {
      readonly type: "done";
      readonly request: number;
      readonly error?: { readonly code: string; readonly message: string };
    }
  | { readonly type: "process"; readonly process: ProcessState }
  /** Answered by a message of the same type and id. */
  | { readonly type: "outside"; readonly id: number; readonly request: OutsideRequest }
  | { readonly type: "failed"; readonly code: string; readonly message: string };
