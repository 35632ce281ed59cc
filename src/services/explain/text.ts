import { originText } from "#base/origin.ts";
import { table } from "#base/table.ts";
import type { Answer, ExplainedAddress, ExplainedClient, ExplainedPath } from "./answer.ts";

/** Endpoints that are shown of a list. */
const SHOWN = 20;
const LABEL = 12;

/** An answer for people: for each address what is decided, step by step, with the object and field that decide it. */
export function answerText({ service, node, mode, from, unsettled, addresses }: Answer): string {
  const head = `Service ${service} on ${node}, mode ${mode}${from === undefined ? "" : `, from ${from}`}`;
  const lines = unsettled === undefined ? [head] : [head, `! ${unsettled}`];
  return `${[...lines, ...addresses.map(addressLines).map((lines) => ["", ...lines].join("\n"))].join("\n")}\n`;
}

function addressLines(one: ExplainedAddress): string[] {
  const { kind, address, origins, heldBy, policy, hints, affinitySeconds, sources, paths } = one;
  return [
    `${kind} ${address}`,
    ...section("address", [
      [originText(origins[0] as (typeof origins)[0]), ...origins.slice(1).map(({ field = "" }) => field)].join(", "),
    ]),
    ...section(
      "held by",
      heldBy === undefined ? [] : [`Service ${heldBy}, which has this address and port too; below is what would be`],
    ),
    ...section("policy", [`${policy.value}  ${originText(policy.origin)}`]),
    ...section("hints", hints === undefined ? [] : [hints]),
    ...section(
      "affinity",
      affinitySeconds === undefined ? [] : [`ClientIP: a client stays for ${affinitySeconds} s  spec.sessionAffinity`],
    ),
    ...section("sources", sources ? [`${sources.join(", ")}; others are dropped  spec.loadBalancerSourceRanges`] : []),
    ...paths.flatMap((path) => pathLines(path, paths.length > 1)),
  ];
}

function pathLines({ candidates, leftOut, clients }: ExplainedPath, isOneOfMany: boolean): string[] {
  const whom = clients.map(({ from }) => from).join(", ");
  const balanced = clients.some(({ verdict }) => verdict === "balance");
  return [
    ...(isOneOfMany ? section("from", [whom]) : []),
    ...section(
      "candidates",
      candidates.length
        ? table(candidates.map(({ address, node = "no node", origin }) => [address, node, originText(origin)]))
        : ["none"],
    ),
    ...section(
      "left out",
      table(leftOut.map(({ address, because, origin }) => [address, because, originText(origin)])),
    ),
    ...section(balanced ? "masquerade" : "verdict", clientLines(clients)),
  ];
}

/** A line for each client; one for all where they do not differ. */
function clientLines(clients: readonly ExplainedClient[]): string[] {
  const rows = clients.map((client) => [clientWords(client), originText(client.origin)] as const);
  const isSame = rows.every(([words, origin]) => words === rows[0]?.[0] && origin === rows[0]?.[1]);
  if (isSame) return table(rows.slice(0, 1));
  return table(rows.map((row, index) => [`${clients[index]?.from}:`, ...row]));
}

function clientWords({ verdict, masquerade, because }: ExplainedClient): string {
  if (verdict === "reject") return `refused: ${because}`;
  if (verdict === "drop") return `dropped: ${because}`;
  const words = { yes: "yes", no: "no", itself: "no, unless the client is the endpoint itself" };
  return `${words[masquerade]}: ${because}`;
}

function section(label: string, lines: readonly string[]): string[] {
  const shown = lines.length > SHOWN ? [...lines.slice(0, SHOWN), `… and ${lines.length - SHOWN} more`] : lines;
  return shown.map((line, index) => `  ${(index ? "" : label).padEnd(LABEL)}${line}`);
}
