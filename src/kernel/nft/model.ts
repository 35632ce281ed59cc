import type { Origin } from "#base/origin.ts";
import type { DataType } from "./dataTypes.ts";
import type { Field } from "./fields.ts";

/** Address families of tables; their numbers are in `familyNumbers`. */
export type Family = "ip" | "ip6" | "inet" | "bridge";

/** NFPROTO_ numbers (include/uapi/linux/netfilter.h). */
export const familyNumbers = {
  inet: 1,
  ip: 2,
  bridge: 7,
  ip6: 10,
} as const satisfies Record<Family, number>;

/** A table. Names of ours begin with `podwire-`, so that a fresh process can find and sweep them. */
export interface Table {
  readonly family: Family;
  readonly name: string;
  readonly comment?: string;
}

/** Where a base chain is hooked into the packet's path. */
export interface Hook {
  readonly type: "filter" | "nat" | "route";
  readonly hook: "prerouting" | "input" | "forward" | "output" | "postrouting";
  /** Lower runs first; destination NAT −100, filter 0, source NAT 100. */
  readonly priority: number;
  /** What happens to a packet that reaches the end. Default accept. */
  readonly policy?: "accept" | "drop";
}

/** A chain: a base chain when it has a hook, else one that rules jump to. */
export interface Chain {
  readonly table: Table;
  readonly name: string;
  readonly hook?: Hook;
  readonly comment?: string;
}

/** How a rule or verdict map element ends. `continue` goes on with the next rule. */
export type Verdict =
  | { readonly kind: "accept" | "drop" | "continue" | "return" }
  | { readonly kind: "jump" | "goto"; readonly chain: string };

/** A part of a set's key or data: a plain type, or a field, by which nft also learns how the part is made (`typeof`). */
export type KeyPart = DataType | Field;

/** A set, a map (data are values) or a verdict map. */
export interface NftSet {
  readonly table: Table;
  readonly name: string;
  readonly key: readonly KeyPart[];
  readonly data?: readonly KeyPart[] | "verdict";
  /** Rules add elements to it (needs `size`). */
  readonly dynamic?: boolean;
  /** Elements may expire. */
  readonly timeout?: boolean;
  /** Life of elements that say nothing else, in ms. */
  readonly timeoutMs?: number;
  /** Most elements; without it the set grows as needed. */
  readonly size?: number;
  readonly comment?: string;
}

/** An element. `key` and map data are concatenations: each part padded to 4 bytes (`concat`). */
export interface Element {
  readonly key: Uint8Array;
  readonly data?: Uint8Array | Verdict;
  readonly comment?: string;
  /** Life in ms, for sets with timeouts. */
  readonly timeoutMs?: number;
  readonly origin?: Origin;
}

/** A value that a rule computes. */
export type Expression =
  | Field
  /** What the map holds for the key; the rule ends without effect when it holds nothing. */
  | {
      readonly kind: "map";
      readonly key: readonly Field[];
      readonly map: string;
      readonly types: readonly DataType[];
    }
  /** `field & mask ^ flip`: sets, clears and flips bits. Host order u32. */
  | {
      readonly kind: "bits";
      readonly field: MetaOrCt;
      readonly mask: number;
      readonly flip: number;
    }
  | {
      readonly kind: "constant";
      readonly bytes: Uint8Array;
      readonly types: readonly DataType[];
    };

/** A field that a rule may also set. */
export type MetaOrCt = Extract<Field, { kind: "meta" | "ct" }>;

/** Comparison operators, in the order of enum nft_cmp_ops. */
export const comparisons = ["==", "!=", "<", "<=", ">", ">="] as const;
export type Comparison = (typeof comparisons)[number];

/** Operations of rules on sets, in the order of enum nft_dynset_ops. */
export const setOperations = ["add", "update", "delete"] as const;
export type SetOperation = (typeof setOperations)[number];

/** How a packet is refused. */
export type RejectWith = { readonly kind: "icmp"; readonly code: number } | { readonly kind: "tcp reset" };

/** One step of a rule. A rule ends at the first step that does not match. */
export type Statement =
  /** `left & mask op right`, all of the field's length. */
  | {
      readonly kind: "match";
      readonly field: Field;
      readonly operator: Comparison;
      readonly value: Uint8Array;
      readonly mask?: Uint8Array;
    }
  | {
      readonly kind: "lookup";
      readonly key: readonly Field[];
      readonly set: string;
      readonly negate?: boolean;
    }
  | {
      readonly kind: "vmap";
      readonly key: readonly Field[];
      readonly map: string;
    }
  | {
      readonly kind: "assign";
      readonly field: MetaOrCt;
      readonly value: Expression;
    }
  | {
      readonly kind: "setOperation";
      readonly operation: SetOperation;
      readonly set: string;
      readonly key: readonly Field[];
      readonly data?: Field;
      readonly timeoutMs?: number;
    }
  /** Destination (or source) NAT to an address, and a port when `port` says so. */
  | {
      readonly kind: "nat";
      readonly type: "dnat" | "snat";
      readonly family: "ip" | "ip6";
      readonly to: NatTarget;
    }
  | { readonly kind: "masquerade"; readonly fullyRandom?: boolean }
  | { readonly kind: "redirect"; readonly port: number }
  /** Gives the packet to a transparent socket: that of its connection, or who listens on the port. */
  | { readonly kind: "tproxy"; readonly family: "ip" | "ip6"; readonly port: number }
  | { readonly kind: "reject"; readonly with?: RejectWith }
  | { readonly kind: "verdict"; readonly verdict: Verdict }
  | {
      readonly kind: "counter";
      readonly packets?: bigint;
      readonly bytes?: bigint;
    }
  | { readonly kind: "log"; readonly prefix?: string; readonly group?: number }
  | { readonly kind: "trace" };

/** Where NAT sends a packet: what a map holds (address and port), or a fixed address. */
export type NatTarget =
  | Extract<Expression, { kind: "map" }>
  | {
      readonly kind: "address";
      readonly address: Uint8Array;
      readonly port?: number;
    };

/** A rule. `handle` is the kernel's number, known once the rule is in the kernel. */
export interface Rule {
  readonly chain: Chain;
  readonly statements: readonly Statement[];
  readonly comment?: string;
  readonly origin?: Origin;
  readonly handle?: bigint;
}

/** Everything in one table, as a driver reads it back. */
export interface TableState {
  readonly table: Table;
  readonly chains: readonly Chain[];
  readonly sets: readonly NftSet[];
  /** Rules of each chain by its name, in order, with handles. */
  readonly rules: ReadonlyMap<string, readonly Rule[]>;
  /** Elements of each set by its name. */
  readonly elements: ReadonlyMap<string, readonly Element[]>;
}

/** The data types of a set's key or data. */
export function partTypes(parts: readonly KeyPart[]): DataType[] {
  return parts.map((part) => ("kind" in part ? part.type : part));
}

/** A key as text that can be compared and used in a Map. */
export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}

/** Whether two verdicts are the same. */
export function sameVerdict(a: Verdict, b: Verdict): boolean {
  return a.kind === b.kind && ("chain" in a ? a.chain : undefined) === ("chain" in b ? b.chain : undefined);
}

/** Whether two elements hold the same: data and comment; keys, origins and lives are not compared. */
export function sameElement(a: Element, b: Element): boolean {
  if (a.comment !== b.comment) return false;
  if (a.data === undefined || b.data === undefined) return a.data === b.data;
  if (a.data instanceof Uint8Array || b.data instanceof Uint8Array) {
    return a.data instanceof Uint8Array && b.data instanceof Uint8Array && Buffer.compare(a.data, b.data) === 0;
  }
  return sameVerdict(a.data, b.data);
}
