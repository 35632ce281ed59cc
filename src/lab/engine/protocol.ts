import type { Topology } from "#lab/topology/index.ts";

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

/** Everything the engine needs to build a lab. */
export interface BootRequest {
  readonly topology: Topology;
  /** By machine: absolute path inside → content. */
  readonly files: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Sockets that listen before any process runs, so that clients that come early wait instead of failing. */
  readonly listeners: readonly { readonly machine: string; readonly address: string; readonly port: number }[];
  readonly processes: readonly ProcessSpec[];
  /** By machine: where in it the folder of the machine's disk that outlives processes is mounted. */
  readonly stateMounts: Readonly<Record<string, string>>;
  /** Addresses at which the router answers DNS queries; empty = no resolver. */
  readonly resolver: readonly string[];
}

/** Where a connection to a host listener goes: dialled from a machine's network namespace. */
export interface ForwardTarget {
  readonly machine: string;
  readonly address: string;
  readonly port: number;
}

/** Messages to the engine. Those with a handle are sent with a listening socket. */
export type ToEngine =
  | { readonly type: "listener"; readonly id: string }
  | { readonly type: "boot"; readonly boot: BootRequest }
  | { readonly type: "forward"; readonly id: string; readonly target: ForwardTarget }
  | { readonly type: "unforward"; readonly id: string }
  | { readonly type: "signal"; readonly process: string; readonly signal: number };

/** State of a process of the lab. */
export interface ProcessState {
  readonly name: string;
  readonly machine: string;
  readonly state: "running" | "restarting";
  /** As the engine's pid namespace sees it. */
  readonly pid: number;
  readonly restarts: number;
  readonly reason?: string;
}

/** Messages from the engine. Times are milliseconds since its start. */
export type FromEngine =
  | { readonly type: "phase"; readonly name: string; readonly ms: number }
  | { readonly type: "machines"; readonly inits: Readonly<Record<string, number>> }
  | { readonly type: "process"; readonly process: ProcessState }
  | { readonly type: "failed"; readonly code: string; readonly message: string };
