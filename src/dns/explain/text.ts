import { originText } from "#base/origin.ts";
import { table } from "#base/table.ts";
import type { Cost, DnsAnswer } from "./answer.ts";
import type { Lookup, Query } from "./lookup.ts";

const LABEL = 13;
/** Lines of queries that are shown. */
const SHOWN = 60;

/** An answer for people: what is sent, to whom, and what makes each answer. */
export function dnsAnswerText(answer: DnsAnswer): string {
  const { name, tool, from, sources, lookup, cost } = answer;
  const asked = lookup ? queryLines(lookup.queries) : [];
  const lines = [
    `${name}, looked up by ${tool} in ${from}`,
    "",
    ...resolverLines(answer),
    ...table(sources.map(({ source, addresses, because }) => [source, addresses.join(", ") || "nothing", because])).map(
      (line, index) => labelled(index ? "" : "before DNS", line),
    ),
    ...(asked.length ? ["", ...asked] : []),
    "",
    labelled("result", resultText(answer)),
    ...costLines(cost),
  ];
  return `${lines.join("\n")}\n`;
}

function labelled(label: string, text: string): string {
  return `${label.padEnd(LABEL)}${text}`.trimEnd();
}

function resolverLines({ resolver, lookup }: DnsAnswer): string[] {
  const { nameservers, search, ndots, timeoutSeconds, attempts, options, ignored, rule, origin } = resolver;
  const numbers = [`ndots:${ndots}`, `timeout:${timeoutSeconds}`, `attempts:${attempts}`];
  return [
    labelled("resolv.conf", origin ? originText(origin) : "as given"),
    labelled("  search", search.join(" ") || "none"),
    labelled("  servers", nameservers.join(", ")),
    labelled("  options", [...numbers, ...options].join(" ")),
    ...(rule === undefined ? [] : [labelled("  rule", rule)]),
    ...[...ignored, ...(lookup?.leftOut ?? [])].map((one, index) => labelled(index ? "" : "  ignored", one)),
  ];
}

function queryLines(queries: readonly Query[]): string[] {
  const rows = alike(queries.map((query) => [query.name, query.type, ...restOf(query)]));
  const more = rows.length > SHOWN ? [`… and ${rows.length - SHOWN} more`] : [];
  return [...table(rows.slice(0, SHOWN)), ...more].map((line, index) => labelled(index ? "" : "asked", line));
}

function restOf(query: Query): string[] {
  const server = `${query.server}${query.protocol === "tcp" ? " tcp" : ""}${query.times > 1 ? ` ×${query.times}` : ""}`;
  return [server, answerWords(query), reasonWords(query)];
}

/** Rows that differ in their type alone become one. */
function alike(rows: readonly string[][]): string[][] {
  const found = new Map<string, string[]>();
  for (const [name = "", type = "", ...rest] of rows) {
    const key = [name, ...rest].join("\0");
    const before = found.get(key);
    found.set(key, [name, before ? `${before[1]}, ${type}` : type, ...rest]);
  }
  return [...found.values()];
}

function answerWords({ outcome, records, ttl, alias }: Query): string {
  if (outcome === "nodata" && alias !== undefined) return `alias of ${alias}`;
  const words = {
    records: `${records.slice(0, 4).join(" ")}${records.length > 4 ? ` and ${records.length - 4} more` : ""}, ttl ${ttl}`,
    nodata: "exists, no such record",
    nxdomain: "NXDOMAIN",
    servfail: "SERVFAIL",
    refused: "REFUSED",
    unreachable: "unreachable",
    silent: "no answer",
    unknown: "not known here",
  };
  return words[outcome];
}

/** Which plugin and object, and why. */
function reasonWords({ plugin, at, origin, because }: Query): string {
  const who = plugin === undefined ? "" : `${plugin}${at ? ` (${at.file}:${at.line})` : ""}`;
  return [who, because ?? (origin ? originText(origin) : "")].filter((part) => part !== "").join("  ");
}

function resultText({ sources, lookup, name }: DnsAnswer): string {
  const early = sources.find(({ addresses }) => addresses.length);
  if (early) return `${early.addresses.join(", ")}, from ${early.source}`;
  if (!lookup) return "not found: no source but those above is asked";
  return lookupText(lookup, name);
}

function lookupText(lookup: Lookup, name: string): string {
  switch (lookup.end) {
    case "found":
      return `${lookup.addresses.join(", ")}, as ${lookup.name}, from ${lookup.server}`;
    case "nodata":
      return "the name exists, but has no address";
    case "not-found":
      return lookup.queries.length ? "there is no such name" : `${JSON.stringify(name)} is no name that DNS could have`;
    case "later":
      return "temporary failure: no server could say";
    case "unknown":
      return "up to servers that are not of this cluster";
  }
}

function costLines({ queries, inVain, waitSeconds, advice }: Cost): string[] {
  if (queries === 0) return [labelled("cost", "no query")];
  const vain = inVain ? `, ${inVain} of them for names that the search list makes up` : "";
  const wait = waitSeconds ? `; ${waitSeconds} s of waiting for servers that do not answer` : "";
  return [
    labelled("cost", `${queries} ${queries === 1 ? "query" : "queries"}${vain}${wait}`),
    ...(advice === undefined ? [] : [labelled("", advice)]),
  ];
}
