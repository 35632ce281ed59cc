import { type Attachment, BRIDGE, type PublishedPort } from "./model.ts";

/** A rule of iptables in the words of iptables-save. */
export interface IptablesRule {
  readonly table: "nat" | "filter";
  readonly chain: string;
  readonly words: readonly string[];
}

/** What iptables-save prints of the tables nat and filter. */
export interface IptablesState {
  readonly nat: string;
  readonly filter: string;
}

/** The chain of both tables that holds what belongs to containers. */
export const CHAIN = "DOCKER";

const rule = (table: IptablesRule["table"], chain: string, words: string): IptablesRule => ({
  table,
  chain,
  words: words.split(" "),
});

/**
 * The rules that all containers of the bridge share (Docker 20 to 27, `iptables: true`). Docker also makes DROP the
 * policy of FORWARD; here it stays as it is, since pods' packets pass there as well.
 */
export function sharedRules(): readonly IptablesRule[] {
  const { name, network } = BRIDGE;
  return [
    rule("nat", "PREROUTING", `-m addrtype --dst-type LOCAL -j ${CHAIN}`),
    rule("nat", "OUTPUT", `! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j ${CHAIN}`),
    rule("nat", "POSTROUTING", `-s ${network} ! -o ${name} -j MASQUERADE`),
    rule("nat", CHAIN, `-i ${name} -j RETURN`),
    rule("filter", "FORWARD", `-o ${name} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`),
    rule("filter", "FORWARD", `-o ${name} -j ${CHAIN}`),
    rule("filter", "FORWARD", `-i ${name} ! -o ${name} -j ACCEPT`),
    rule("filter", "FORWARD", `-i ${name} -o ${name} -j ACCEPT`),
  ];
}

/** The rules of one container's published ports. */
export function portRules({ address }: Attachment, ports: readonly PublishedPort[]): readonly IptablesRule[] {
  return ports.flatMap(({ ip, host, container, protocol }) => {
    const match = `-p ${protocol} -m ${protocol} --dport`;
    const to = ip === undefined ? "" : `-d ${ip}/32 `;
    return [
      rule("nat", CHAIN, `${to}! -i ${BRIDGE.name} ${match} ${host} -j DNAT --to-destination ${address}:${container}`),
      rule("filter", CHAIN, `-d ${address}/32 ! -i ${BRIDGE.name} -o ${BRIDGE.name} ${match} ${container} -j ACCEPT`),
      // A container that asks for its own published port, through the node.
      rule("nat", "POSTROUTING", `-s ${address}/32 -d ${address}/32 ${match} ${container} -j MASQUERADE`),
    ];
  });
}

const lines = (state: IptablesState, table: IptablesRule["table"]): readonly string[] => state[table].split("\n");

/** The command that adds or deletes a rule. */
export function ruleCommand(action: "-A" | "-D", { table, chain, words }: IptablesRule): readonly string[] {
  return ["iptables", "-w", ...(table === "filter" ? [] : ["-t", table]), action, chain, ...words];
}

/** The commands that add what is missing: the chains, then the rules in their order. */
export function missing(state: IptablesState, rules: readonly IptablesRule[]): readonly (readonly string[])[] {
  const tables = [...new Set(rules.map(({ table }) => table))];
  const absent = tables.filter((table) => !lines(state, table).some((line) => line.startsWith(`:${CHAIN} `)));
  return [
    ...absent.map((table) => ["iptables", "-w", ...(table === "filter" ? [] : ["-t", table]), "-N", CHAIN]),
    ...rules.filter((wanted) => !isThere(state, wanted)).map((wanted) => ruleCommand("-A", wanted)),
  ];
}

/** The commands that delete what is there of some rules. */
export function unwanted(state: IptablesState, rules: readonly IptablesRule[]): readonly (readonly string[])[] {
  return rules.filter((old) => isThere(state, old)).map((old) => ruleCommand("-D", old));
}

function isThere(state: IptablesState, { table, chain, words }: IptablesRule): boolean {
  return lines(state, table).includes(`-A ${chain} ${words.join(" ")}`);
}
