import { createHash } from "node:crypto";
import { type Cidr, formatCidr } from "#base/ip.ts";
import {
  type Chain,
  drop,
  fibType,
  fibTypes,
  goTo,
  hostU32,
  inNetwork,
  jump,
  mapped,
  match,
  metaFields,
  numgen,
  type Rule,
  type Statement,
} from "#kernel/nft/index.ts";
import { type Layout, layoutRule } from "./layout.ts";

/**
 * How a frontend's connections are treated. Frontends with an equal treatment share one chain: there are as many
 * chains as there are different numbers of endpoints, not as there are Services.
 */
export interface Treatment {
  /**
   * - `cluster`: masquerade what comes from outside the pod network.
   * - `external`: masquerade everything, since the endpoint may be on another node.
   * - `external-local`: to endpoints on this node and with the client's address; pods and the node itself reach all.
   */
  readonly policy: "cluster" | "external" | "external-local";
  /** Candidates of the endpoint list: `count` from number `from` on. */
  readonly count: number;
  readonly from: number;
  /** For `external-local`: the first so many of the endpoint list are on this node. */
  readonly local?: number;
  readonly affinitySeconds?: number;
}

/** A chain that lets some sources on to another chain and drops the others: equal limits share it. */
export interface Gate {
  readonly sources: readonly Cidr[];
  /** Name of the chain that it guards. */
  readonly to: string;
}

/** A chain and its rules. */
export interface ChainContent {
  readonly chain: Chain;
  readonly rules: readonly Rule[];
}

/** Which endpoints of the list, and for how long a client stays with one. */
type Choice = Pick<Treatment, "count" | "from" | "affinitySeconds">;

/** Name of the chain for a treatment: `cluster-3`, `external-local-1-of-3`, `cluster-2-sticky-10800`. */
export function treatmentName(treatment: Treatment): string {
  const { policy, count, local } = treatment;
  const numbers = policy === "external-local" ? `${local ?? 0}-of-${count}` : `${count}`;
  return `${policy}-${numbers}${suffix(treatment)}`;
}

/** Name of the chain of a gate: `from-3f0c2a9b71-external-3`. */
export function gateName({ sources, to }: Gate): string {
  const text = sources.map(formatCidr).join(" ");
  return `from-${createHash("sha256").update(text).digest("hex").slice(0, 10)}-${to}`;
}

/** The chain of a gate. What it lets on to is made by others. */
export function gateChain(layout: Layout, gate: Gate): ChainContent {
  const chain = chainOf(layout, gateName(gate));
  const to = chainOf(layout, gate.to);
  const allowed = gate.sources.map((cidr) =>
    layoutRule(layout, chain, "", inNetwork(layout.fields.saddr, cidr), goTo(to)),
  );
  return { chain, rules: [...allowed, layoutRule(layout, chain, "not in loadBalancerSourceRanges", drop)] };
}

function suffix({ from, affinitySeconds }: Choice): string {
  return `${from ? `-from-${from}` : ""}${affinitySeconds === undefined ? "" : `-sticky-${affinitySeconds}`}`;
}

/** The chain for a treatment, after the chains that it jumps to. */
export function treatmentChains(layout: Layout, treatment: Treatment): ChainContent[] {
  const at = chainOf(layout, treatmentName(treatment));
  const { affinitySeconds, policy } = treatment;
  const before = affinitySeconds === undefined ? [] : [rememberedChain(layout, affinitySeconds)];
  if (policy === "external-local") return [...before, ...externalLocalChains(layout, at, treatment)];
  const mark = policy === "cluster" ? layout.markOffCluster : layout.mark;
  return [...before, { chain: at, rules: [layoutRule(layout, at, "", jump(mark)), ...pick(layout, at, treatment)] }];
}

function chainOf(layout: Layout, name: string): Chain {
  return { table: layout.table, name };
}

/**
 * From outside to this node's endpoints. Pods and the node itself are treated as if they had gone out to a load
 * balancer and come back: they reach all; the node is masqueraded, for its address may be the Service's own.
 */
function externalLocalChains(layout: Layout, at: Chain, treatment: Treatment): ChainContent[] {
  const { local = 0 } = treatment;
  const any = chainOf(layout, `any-${treatment.count}${suffix(treatment)}`);
  const rule = (comment: string, ...statements: Statement[]) => layoutRule(layout, at, comment, ...statements);
  const fromNode = match(fibType("saddr"), hostU32(fibTypes.local));
  const rules = [
    ...layout.fromPods.map((isFromPod) => rule("pods reach all endpoints", isFromPod, goTo(any))),
    rule("", fromNode, jump(layout.mark)),
    rule("the node reaches all endpoints", fromNode, goTo(any)),
    ...(local ? pick(layout, at, { ...treatment, from: 0, count: local }) : [rule("no endpoint on this node", drop)]),
  ];
  return [
    { chain: any, rules: pick(layout, any, treatment) },
    { chain: at, rules },
  ];
}

/** Rules that end in one of the endpoints. */
function pick(layout: Layout, at: Chain, { count, from, affinitySeconds }: Choice): Rule[] {
  const { sets, fields, family } = layout;
  const number = [...fields.service, numgen(count, from)];
  if (affinitySeconds === undefined) {
    return [layoutRule(layout, at, "", { kind: "nat", type: "dnat", family, to: mapped(number, sets.endpoints) })];
  }
  const known = setId(mapped(fields.client, sets.affinity));
  const chosen = setId(mapped(number, sets["affinity-ids"]));
  return [
    layoutRule(layout, at, "", known, jump(chainOf(layout, rememberedName(affinitySeconds)))),
    layoutRule(layout, at, "", chosen),
    // When @affinity is full, this rule ends without effect and the connection works all the same.
    layoutRule(layout, at, "", remember(layout, "update", affinitySeconds)),
    layoutRule(layout, at, "", toChosen(layout)),
  ];
}

/**
 * For a client that is remembered: to its endpoint, and another while remembered. @affinity holds a number of the
 * endpoint; the lookup by it in @affinity-endpoints is also the check that the Service still has the endpoint.
 * When it has not, the client is forgotten and the calling chain goes on to choose anew.
 */
function rememberedChain(layout: Layout, seconds: number): ChainContent {
  const at = chainOf(layout, rememberedName(seconds));
  return {
    chain: at,
    rules: [
      layoutRule(layout, at, "", remember(layout, "update", seconds)),
      layoutRule(layout, at, "", toChosen(layout)),
      layoutRule(layout, at, "the endpoint is gone", remember(layout, "delete")),
    ],
  };
}

function rememberedName(seconds: number): string {
  return `remembered-${seconds}`;
}

/**
 * The endpoint's number goes from one lookup to the next in `meta priority`: forwarding sets that field anew anyway,
 * while the mark belongs to whoever routes by it.
 */
function setId(value: ReturnType<typeof mapped>): Statement {
  return { kind: "assign", field: metaFields.priority, value };
}

function toChosen({ family, fields, sets }: Layout): Statement {
  const to = mapped([...fields.service, metaFields.priority], sets["affinity-endpoints"]);
  return { kind: "nat", type: "dnat", family, to };
}

function remember({ sets, fields }: Layout, operation: "update" | "delete", seconds?: number): Statement {
  return {
    kind: "setOperation",
    operation,
    set: sets.affinity.name,
    key: fields.client,
    data: metaFields.priority,
    ...(seconds !== undefined && { timeoutMs: seconds * 1000 }),
  };
}
