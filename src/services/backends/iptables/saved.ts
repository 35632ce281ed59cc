import { CANARY, type Jump } from "./layout.ts";
import { isServiceChain } from "./names.ts";

/** What iptables-save says of a table. */
export interface SavedTable {
  readonly chains: ReadonlySet<string>;
  /** Lines that begin with `-A`. */
  readonly rules: readonly string[];
}

/** What iptables-save says, by table. */
export type Saved = ReadonlyMap<string, SavedTable>;

const nothing: SavedTable = { chains: new Set(), rules: [] };

/** Reads what iptables-save prints. */
export function parseSaved(text: string): Saved {
  const tables = new Map<string, { chains: Set<string>; rules: string[] }>();
  let table: { chains: Set<string>; rules: string[] } | undefined;
  for (const line of text.split("\n")) {
    if (line.startsWith("*")) {
      table = { chains: new Set(), rules: [] };
      tables.set(line.slice(1).trim(), table);
    } else if (line.startsWith(":")) table?.chains.add(line.slice(1).split(" ", 1)[0] ?? "");
    else if (line.startsWith("-A ")) table?.rules.push(line.trim());
  }
  return tables;
}

/** Jumps that are not there. */
export function missingJumps(saved: Saved, jumps: readonly Jump[]): Jump[] {
  return jumps.filter(({ table, from, rule }) => !saved.get(table)?.rules.includes(`-A ${from} ${rule}`));
}

/** Chains of Services in table nat that nobody wants any more; what others jump to stays. */
export function staleChains(saved: Saved, isWanted: (chain: string) => boolean): string[] {
  const { chains, rules } = saved.get("nat") ?? nothing;
  const stale = [...chains].filter((chain) => isServiceChain(chain) && !isWanted(chain));
  if (stale.length === 0) return [];
  const held = new Set(rules.filter((rule) => !isOurs(chainOf(rule))).map(targetOf));
  return stale.filter((chain) => !held.has(chain));
}

const fixedNames: Readonly<Record<string, readonly string[]>> = {
  filter: [
    ...["KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS", "KUBE-FORWARD", "KUBE-PROXY-FIREWALL"],
    CANARY,
  ],
  nat: ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ", CANARY],
  mangle: [CANARY],
};

/**
 * Text for iptables-restore that removes every chain that a proxy leaves, and every rule that leads to one. The
 * kubelet's chains stay: KUBE-FIREWALL goes only where no kubelet shows.
 */
export function cleanupText(saved: Saved): string {
  const isKubeletHere = [...saved.values()].some(({ chains }) => chains.has("KUBE-KUBELET-CANARY"));
  return Object.entries(fixedNames)
    .map(([table, names]) => {
      const { chains, rules } = saved.get(table) ?? nothing;
      const goes = new Set([...chains].filter((chain) => names.includes(chain) || isServiceChain(chain)));
      if (table === "filter" && !isKubeletHere && holdsOnlyLocalnetRule(rules)) goes.add("KUBE-FIREWALL");
      if (goes.size === 0) return "";
      const jumps = rules.filter((rule) => !goes.has(chainOf(rule)) && goes.has(targetOf(rule)));
      const lines = [
        `*${table}`,
        ...[...goes].map((chain) => `:${chain} - [0:0]`),
        ...jumps.map((rule) => rule.replace("-A", "-D")),
        ...[...goes].map((chain) => `-X ${chain}`),
        "COMMIT",
      ];
      return `${lines.join("\n")}\n`;
    })
    .join("");
}

function holdsOnlyLocalnetRule(rules: readonly string[]): boolean {
  const own = rules.filter((rule) => chainOf(rule) === "KUBE-FIREWALL");
  return own.length === 1 && own.every((rule) => rule.includes('"block incoming localnet connections"'));
}

function isOurs(chain: string): boolean {
  return isServiceChain(chain) || (fixedNames["nat"] ?? []).includes(chain);
}

function chainOf(rule: string): string {
  return rule.split(" ", 2)[1] ?? "";
}

/** The chain that a rule of iptables-save leads to; for targets such as ACCEPT their names. */
function targetOf(rule: string): string {
  return / -[jg] (\S+)/.exec(rule.replaceAll(/"[^"]*"/g, ""))?.[1] ?? "";
}
