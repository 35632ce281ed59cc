import { type DataType, dataTypes, formatConcat } from "./dataTypes.ts";
import type { Field } from "./fields.ts";
import {
  type Chain,
  type Element,
  type Expression,
  type Family,
  type KeyPart,
  type NatTarget,
  type NftSet,
  partTypes,
  type RejectWith,
  type Rule,
  type Statement,
  type Table,
  type Verdict,
} from "./model.ts";

// nft's text of the model, in a form that nft 1.0.6 and newer read (`nft -f`).

/** `ip podwire-services`. */
export function tableText(table: Table): string {
  return `${table.family} ${table.name}`;
}

/** `ip podwire-services nat-prerouting { type nat hook prerouting priority -100 ; policy accept ; }`. */
export function chainText(chain: Chain): string {
  const parts: string[] = [];
  if (chain.hook) {
    const { type, hook, priority, policy } = chain.hook;
    parts.push(`type ${type} hook ${hook} priority ${priority} ;`, `policy ${policy ?? "accept"} ;`);
  }
  if (chain.comment) parts.push(`comment ${quote(chain.comment)} ;`);
  return `${tableText(chain.table)} ${chain.name}${parts.length ? ` { ${parts.join(" ")} }` : ""}`;
}

/** `map ip podwire-services endpoints { typeof … : … ; }`. */
export function setText(set: NftSet): string {
  const parts = [`${partsText(set)} ;`];
  const flags = [set.dynamic && "dynamic", set.timeout && "timeout"].filter(Boolean);
  if (set.size !== undefined) parts.push(`size ${set.size} ;`);
  if (flags.length) parts.push(`flags ${flags.join(",")} ;`);
  if (set.timeoutMs !== undefined) parts.push(`timeout ${set.timeoutMs}ms ;`);
  if (set.comment) parts.push(`comment ${quote(set.comment)} ;`);
  return `${set.data ? "map" : "set"} ${tableText(set.table)} ${set.name} { ${parts.join(" ")} }`;
}

/** nft knows how to make a key part only when all parts of key and data are given as fields (`typeof`). */
function partsText(set: NftSet): string {
  const isField = (part: KeyPart): part is Field => "kind" in part;
  const all = [...set.key, ...(Array.isArray(set.data) ? (set.data as readonly KeyPart[]) : [])];
  const fields = all.every(isField);
  const text = (parts: readonly KeyPart[]) =>
    fields ? parts.map((p) => (isField(p) ? p.text : p.name)).join(" . ") : typeNames(partTypes(parts));
  const data = set.data === "verdict" ? " : verdict" : set.data ? ` : ${text(set.data)}` : "";
  return `${fields ? "typeof" : "type"} ${text(set.key)}${data}`;
}

function typeNames(types: readonly DataType[]): string {
  return types.map((type) => type.name).join(" . ");
}

/** `10.96.0.1 . tcp . 443 comment "default/kubernetes:https" : goto cluster-1`. */
export function elementText(set: NftSet, element: Element): string {
  const life = element.timeoutMs === undefined ? "" : ` timeout ${element.timeoutMs}ms`;
  const comment = element.comment ? ` comment ${quote(element.comment)}` : "";
  return `${elementKeyText(set, element.key)}${life}${comment}${dataText(set, element)}`;
}

/** The key alone: `10.96.0.1 . tcp . 443`. */
export function elementKeyText(set: NftSet, key: Uint8Array): string {
  return formatConcat(partTypes(set.key), key);
}

function dataText(set: NftSet, element: Element): string {
  if (element.data === undefined || !set.data) return "";
  if (!(element.data instanceof Uint8Array)) return ` : ${verdictText(element.data)}`;
  return set.data === "verdict" ? "" : ` : ${formatConcat(partTypes(set.data), element.data)}`;
}

/** The rule without its chain: `ip saddr 10.244.0.0/16 return comment "pods"`. */
export function ruleText(rule: Rule): string {
  const text = rule.statements.map((statement) => statementText(statement, rule.chain.table.family)).join(" ");
  return rule.comment ? `${text} comment ${quote(rule.comment)}` : text;
}

/** `goto cluster-2`. */
export function verdictText(verdict: Verdict): string {
  return "chain" in verdict ? `${verdict.kind} ${verdict.chain}` : verdict.kind;
}

/** nft's text of one statement. The family decides the names of ICMP codes. */
export function statementText(statement: Statement, family: Family): string {
  switch (statement.kind) {
    case "match":
      return matchText(statement);
    case "lookup":
      return `${keyFields(statement.key)} ${statement.negate ? "!= " : ""}@${statement.set}`;
    case "vmap":
      return `${keyFields(statement.key)} vmap @${statement.map}`;
    case "assign":
      return `${statement.field.text} set ${expressionText(statement.value)}`;
    case "setOperation": {
      const life = statement.timeoutMs === undefined ? "" : ` timeout ${statement.timeoutMs}ms`;
      const data = statement.data ? ` : ${statement.data.text}` : "";
      return `${statement.operation} @${statement.set} { ${keyFields(statement.key)}${life}${data} }`;
    }
    case "nat":
      return `${statement.type} ${statement.family} to ${natText(statement.to, statement.family)}`;
    case "masquerade":
      return statement.fullyRandom ? "masquerade fully-random" : "masquerade";
    case "redirect":
      return `redirect to :${statement.port}`;
    case "tproxy":
      return `tproxy to :${statement.port}`;
    case "reject":
      return rejectText(statement.with, family);
    case "verdict":
      return verdictText(statement.verdict);
    case "counter":
      return "counter";
    case "log":
      return logText(statement);
    case "trace":
      return "meta nftrace set 1";
  }
}

function matchText(match: Extract<Statement, { kind: "match" }>): string {
  const { field, operator, value, mask } = match;
  const show = (bytes: Uint8Array) => field.type.format(bytes);
  const op = operator === "==" ? "" : `${operator} `;
  if (!mask) return `${field.text} ${op}${show(value)}`;
  const prefix = prefixLength(mask);
  const isAddress = field.type.name === "ipv4_addr" || field.type.name === "ipv6_addr";
  if (isAddress && prefix !== undefined) return `${field.text} ${op}${show(value)}/${prefix}`;
  // nft's own form for "one of these flags is set".
  const isZero = value.every((byte) => byte === 0);
  const isFlags = field.type.name === "ct_state" || field.type.name === "ct_status";
  if (isFlags && isZero && operator === "!=") return `${field.text} ${show(mask)}`;
  return `${field.text} & ${show(mask)} ${operator} ${show(value)}`;
}

function prefixLength(mask: Uint8Array): number | undefined {
  const bits = [...mask].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const ones = bits.indexOf("0") < 0 ? bits.length : bits.indexOf("0");
  return bits.includes("1", ones) ? undefined : ones;
}

function expressionText(value: Expression): string {
  switch (value.kind) {
    case "map":
      return `${keyFields(value.key)} map @${value.map}`;
    case "constant":
      return formatConcat(value.types, value.bytes);
    case "bits":
      return bitsText(value);
    default:
      return value.text;
  }
}

function bitsText({ field, mask, flip }: Extract<Expression, { kind: "bits" }>): string {
  const hex = (n: number) => `0x${(n >>> 0).toString(16).padStart(8, "0")}`;
  // a | b is (a & ~b) ^ b
  if ((~mask & flip) >>> 0 === flip >>> 0 && (mask | flip) >>> 0 === 0xffffffff) return `${field.text} | ${hex(flip)}`;
  if (mask >>> 0 === 0xffffffff) return `${field.text} ^ ${hex(flip)}`;
  if (flip === 0) return `${field.text} & ${hex(mask)}`;
  return `${field.text} & ${hex(mask)} ^ ${hex(flip)}`;
}

function natText(to: NatTarget, family: "ip" | "ip6"): string {
  if (to.kind === "map") return `${keyFields(to.key)} map @${to.map}`;
  const address = formatConcat([family === "ip" ? dataTypes.ipv4_addr : dataTypes.ipv6_addr], to.address);
  if (to.port === undefined) return address;
  return family === "ip" ? `${address}:${to.port}` : `[${address}]:${to.port}`;
}

/** Names of ICMP codes by their position in enum nft_reject_inet_code. */
const unreachable = {
  ip: ["icmp", "net-unreachable", "port-unreachable", "host-unreachable", "admin-prohibited"],
  ip6: ["icmpv6", "no-route", "port-unreachable", "addr-unreachable", "admin-prohibited"],
  other: ["icmpx", "no-route", "port-unreachable", "host-unreachable", "admin-prohibited"],
} as const;

/** Port unreachable is nft's default, and printed bare by it. */
function rejectText(reject: RejectWith | undefined, family: Family): string {
  if (!reject || (reject.kind === "icmp" && reject.code === 1)) return "reject";
  if (reject.kind === "tcp reset") return "reject with tcp reset";
  const [protocol, ...names] = unreachable[family === "ip" || family === "ip6" ? family : "other"];
  return `reject with ${protocol} ${names[reject.code] ?? reject.code}`;
}

function logText({ prefix, group }: Extract<Statement, { kind: "log" }>): string {
  return ["log", prefix !== undefined && `prefix ${quote(prefix)}`, group !== undefined && `group ${group}`]
    .filter(Boolean)
    .join(" ");
}

function keyFields(key: readonly Field[]): string {
  return key.map((field) => field.text).join(" . ");
}

/** nft has no escapes inside quotes: what it cannot hold becomes an apostrophe. */
export function quote(text: string): string {
  return `"${text.replace(/["\n]/g, "'")}"`;
}
