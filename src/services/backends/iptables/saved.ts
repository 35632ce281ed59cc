import { type Ip, tryParseIp } from "#base/ip.ts";
import { protocols } from "#kernel/nft/index.ts";
import type { ServiceAddress } from "../../model/index.ts";
import { canonicalRule } from "./canonical.ts";
import { CANARY, type Jump, KUBELETS_CHAIN, knownJumps } from "./layout.ts";
import { isServiceChain } from "./names.ts";

/** What iptables-save says of a table: its chains with their rules, which are without `-A chain`. */
export type SavedTable = ReadonlyMap<string, readonly string[]>;

/** What iptables-save says, by table. */
export type Saved = ReadonlyMap<string, SavedTable>;

const nothing: SavedTable = new Map();

/** Reads what iptables-save prints. */
export function parseSaved(text: string): Saved {
  const tables = new Map<string, Map<string, string[]>>();
  let table = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    if (line.startsWith("*")) {
      table = new Map();
      tables.set(line.slice(1).trim(), table);
    } else if (line.startsWith(":")) table.set(line.slice(1).split(" ", 1)[0] ?? "", []);
    else if (line.startsWith("-A ")) {
      const end = line.indexOf(" ", 3);
      if (end > 0) table.get(line.slice(3, end))?.push(line.slice(end + 1).trim());
    }
  }
  return tables;
}

/** UDP addresses that chains of Services answer for; those of NodePorts at each of these addresses of the node. */
export function udpAddresses(saved: Saved, nodeAddresses: readonly Ip[]): ServiceAddress[] {
  const found: ServiceAddress[] = [];
  const nat = saved.get("nat") ?? nothing;
  for (const rule of nat.get("KUBE-SERVICES") ?? []) {
    const [, address, port] = /^-d (\S+)\/\d+ -p udp .*--dport (\d+) /.exec(rule) ?? [];
    const ip = address === undefined ? undefined : tryParseIp(address);
    if (ip) found.push({ ip, protocol: protocols.UDP, port: Number(port) });
  }
  for (const rule of nat.get("KUBE-NODEPORTS") ?? []) {
    const [, port] = /^-p udp .*--dport (\d+) /.exec(rule) ?? [];
    if (port) found.push(...nodeAddresses.map((ip) => ({ ip, protocol: protocols.UDP, port: Number(port) })));
  }
  return found;
}

/** Whether a chain is there and has these rules, in this order and nothing else. */
export function hasChain(saved: Saved, table: string, chain: string, rules: readonly string[]): boolean {
  const there = saved.get(table)?.get(chain);
  return (
    there?.length === rules.length &&
    there.every((rule, i) => rule === rules[i] || canonicalRule(rule) === canonicalRule(rules[i] ?? ""))
  );
}

/** What a chain has, with the rules that it lacks after it: for a chain that others write to as well. */
export function withRules(saved: Saved, table: string, chain: string, rules: readonly string[]): readonly string[] {
  const there = saved.get(table)?.get(chain) ?? [];
  const known = new Set(there.map(canonicalRule));
  return [...there, ...rules.filter((rule) => !known.has(canonicalRule(rule)))];
}

/** Jumps that are not there. */
export function missingJumps(saved: Saved, jumps: readonly Jump[]): Jump[] {
  return jumps.filter(({ table, from, rule }) => {
    const wanted = canonicalRule(rule);
    return !saved
      .get(table)
      ?.get(from)
      ?.some((there) => canonicalRule(there) === wanted);
  });
}

/** Chains of Services in table nat that nobody wants any more; what others jump to stays. */
export function staleChains(saved: Saved, isWanted: (chain: string) => boolean): string[] {
  const chains = saved.get("nat") ?? nothing;
  const stale = [...chains.keys()].filter((chain) => isServiceChain(chain) && !isWanted(chain));
  if (stale.length === 0) return [];
  const held = new Set([...chains].flatMap(([chain, rules]) => (isOurs(chain) ? [] : rules.map(targetOf))));
  return stale.filter((chain) => !held.has(chain));
}

/** Chains of kube-proxy: those that all Services share, and those of upstream's ipvs mode. */
const fixedNames: Readonly<Record<string, readonly string[]>> = {
  filter: [
    ...["KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS", "KUBE-FORWARD", "KUBE-PROXY-FIREWALL"],
    ...["KUBE-NODE-PORT", "KUBE-SOURCE-RANGES-FIREWALL", "KUBE-IPVS-FILTER", "KUBE-IPVS-OUT-FILTER"],
    CANARY,
  ],
  nat: [
    ...["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"],
    ...["KUBE-NODE-PORT", "KUBE-LOAD-BALANCER"],
    CANARY,
  ],
  mangle: [CANARY],
};

/** Whether a chain is one that a proxy leaves, in whichever table. The kubelet's are none. */
export function isProxyChain(name: string): boolean {
  return isServiceChain(name) || Object.values(fixedNames).some((names) => names.includes(name));
}

/**
 * Text for iptables-restore that removes every chain that a proxy leaves, and its own rules that lead to them. A chain
 * that somebody else's rule leads to is emptied, and stays with that rule. The kubelet's chains stay: KUBE-FIREWALL goes
 * only where no kubelet shows.
 */
export function cleanupText(saved: Saved): string {
  const isKubeletHere = [...saved.values()].some((chains) => chains.has("KUBE-KUBELET-CANARY"));
  return Object.entries(fixedNames)
    .map(([table, names]) => {
      const chains = saved.get(table) ?? nothing;
      const goes = new Set([...chains.keys()].filter((chain) => names.includes(chain) || isServiceChain(chain)));
      if (table === "filter" && !isKubeletHere && holdsOnlyLocalnetRule(chains)) goes.add(KUBELETS_CHAIN);
      const leading = [...chains].flatMap(([from, rules]) =>
        goes.has(from)
          ? []
          : rules.flatMap((rule) =>
              goes.has(targetOf(rule)) ? { from, rule, isKnown: isKnown(table, from, rule) } : [],
            ),
      );
      const held = new Set(leading.flatMap(({ rule, isKnown }) => (isKnown ? [] : targetOf(rule))));
      const lines = [
        ...[...goes]
          .filter((chain) => !held.has(chain) || chains.get(chain)?.length)
          .map((chain) => `:${chain} - [0:0]`),
        ...leading.filter(({ isKnown }) => isKnown).map(({ from, rule }) => `-D ${from} ${rule}`),
        ...[...goes].filter((chain) => !held.has(chain)).map((chain) => `-X ${chain}`),
      ];
      return lines.length ? `*${table}\n${lines.join("\n")}\nCOMMIT\n` : "";
    })
    .join("");
}

/** Whether a proxy made a rule of a chain that is not its own. */
function isKnown(table: string, from: string, rule: string): boolean {
  const there = canonicalRule(rule);
  return knownJumps.some((jump) => jump.table === table && jump.from === from && canonicalRule(jump.rule) === there);
}

function holdsOnlyLocalnetRule(chains: SavedTable): boolean {
  const own = chains.get(KUBELETS_CHAIN) ?? [];
  return own.length === 1 && own.every((rule) => rule.includes('"block incoming localnet connections"'));
}

function isOurs(chain: string): boolean {
  return isServiceChain(chain) || (fixedNames["nat"] ?? []).includes(chain);
}

/** The chain that a rule of iptables-save leads to; for targets such as ACCEPT their names. */
function targetOf(rule: string): string {
  return /(?:^| )-[jg] (\S+)/.exec(rule.replaceAll(/"[^"]*"/g, ""))?.[1] ?? "";
}
