import { canonicalRule } from "./canonical.ts";
import { CANARY, type Jump, KUBELETS_CHAIN } from "./layout.ts";
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

/**
 * Text for iptables-restore that removes every chain that a proxy leaves, and every rule that leads to one. The
 * kubelet's chains stay: KUBE-FIREWALL goes only where no kubelet shows.
 */
export function cleanupText(saved: Saved): string {
  const isKubeletHere = [...saved.values()].some((chains) => chains.has("KUBE-KUBELET-CANARY"));
  return Object.entries(fixedNames)
    .map(([table, names]) => {
      const chains = saved.get(table) ?? nothing;
      const goes = new Set([...chains.keys()].filter((chain) => names.includes(chain) || isServiceChain(chain)));
      if (table === "filter" && !isKubeletHere && holdsOnlyLocalnetRule(chains)) goes.add(KUBELETS_CHAIN);
      if (goes.size === 0) return "";
      const jumps = [...chains].flatMap(([chain, rules]) =>
        goes.has(chain) ? [] : rules.filter((rule) => goes.has(targetOf(rule))).map((rule) => `${chain} ${rule}`),
      );
      const lines = [
        `*${table}`,
        ...[...goes].map((chain) => `:${chain} - [0:0]`),
        ...jumps.map((rule) => `-D ${rule}`),
        ...[...goes].map((chain) => `-X ${chain}`),
        "COMMIT",
      ];
      return `${lines.join("\n")}\n`;
    })
    .join("");
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
