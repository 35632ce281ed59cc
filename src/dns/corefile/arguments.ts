import { boundBacktracking, compileRegExp } from "#base/goRegExp.ts";
import { parseNetwork } from "#base/ip.ts";
import { lowerName, parseName, reverseZones, tryParseName } from "#wire/dns/index.ts";
import { CorefileError, type Location } from "./errors.ts";
import type { Token } from "./lexer.ts";
import type { Directive } from "./parser.ts";

/** What each property of a directive's block does, by name. */
export type Properties = Readonly<Record<string, (property: Directive) => void>>;

/** Runs the handler of each property in the directive's block; an unknown one is refused with the list of those allowed. */
export function readProperties(directive: Directive, properties: Properties): void {
  for (const property of directive.block ?? []) {
    const handler = Object.hasOwn(properties, property.name) ? properties[property.name] : undefined;
    if (!handler) {
      const allowed = Object.keys(properties).join(", ");
      throw new CorefileError(
        property.at,
        `unknown property '${property.name}' of ${directive.name}; allowed: ${allowed}`,
      );
    }
    if (property.block)
      throw new CorefileError(property.at, `property ${property.name} of ${directive.name} takes no block`);
    handler(property);
  }
}

/** The arguments' texts; refused when there are fewer than `min` or more than `max`. `usage` says how it is written. */
export function args(directive: Directive, usage: string, min = 0, max = min): string[] {
  const count = directive.args.length;
  if (count < min || count > max) {
    const found = count === 0 ? "no argument" : count === 1 ? "1 argument" : `${count} arguments`;
    throw new CorefileError(directive.at, `${directive.name} with ${found}; expected: ${usage}`);
  }
  return directive.args.map((token) => token.text);
}

/** Refuses a block behind a directive that has none. */
export function noBlock(directive: Directive): void {
  if (directive.block) throw new CorefileError(directive.at, `${directive.name} takes no block`);
}

/** The single argument of a property. */
export function oneArg(directive: Directive, usage: string): string {
  return args(directive, usage, 1)[0] as string;
}

/** A whole number within bounds. */
export function integer(text: string, at: Location, what: string, min: number, max: number): number {
  const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw new CorefileError(at, `${what} ${JSON.stringify(text)}; expected a whole number from ${min} to ${max}`);
  }
  return value;
}

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** A timer of Node that is longer (some 25 days) fires at once, and an interval again and again. */
export const longestMs = 2 ** 31 - 1;

/**
 * Milliseconds of a duration as Go writes it: `5s`, `1m30s`, `500ms`, `0`; what is longer than a timer can be is as long as
 * it can be. `plain`: what a bare number counts in.
 */
export function duration(text: string, at: Location, what: string, plain?: "s"): number {
  if (text === "0") return 0;
  if (plain && /^\d+$/.test(text)) return Math.min(Number(text) * 1000, longestMs);
  if (/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) {
    let total = 0;
    for (const [, value, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) {
      total += Number(value) * (unitMs[unit as string] as number);
    }
    return Math.min(total, longestMs);
  }
  throw new CorefileError(at, `${what} ${JSON.stringify(text)}; expected a duration such as 5s or 1m30s`);
}

/** A zone in lower case, absolute; a network in CIDR form gives its reverse zones. */
export function zonesOf(text: string, at: Location): string[] {
  if (text.includes("/")) {
    try {
      return reverseZones(parseNetwork(text));
    } catch (error) {
      throw new CorefileError(at, `zone ${JSON.stringify(text)}: ${(error as Error).message}`);
    }
  }
  const name = tryParseName(text);
  if (name === undefined)
    throw new CorefileError(at, `${JSON.stringify(text)} is no zone; expected such as . or example.org`);
  return [lowerName(name)];
}

/** Zones of arguments, or those of the server block when there are none. */
export function zonesOrDefault(tokens: readonly Token[], fallback: readonly string[]): readonly string[] {
  return tokens.length === 0 ? fallback : tokens.flatMap((token) => zonesOf(token.text, token));
}

/** `host:port` with either part absent; IPv6 hosts in brackets when a port follows. */
export function hostPort(
  text: string,
  at: Location,
  defaultPort: number,
): { readonly host: string; readonly port: number } {
  const match =
    /^\[(?<bracketed>[^\]]*)\](?::(?<port>\d+))?$/.exec(text) ?? /^(?<host>[^:]*)(?::(?<port>\d+))?$/.exec(text);
  if (!match?.groups) {
    // Bare IPv6 address without a port.
    if (/^[0-9a-fA-F:.]+(%\w+)?$/.test(text)) return { host: text, port: defaultPort };
    throw new CorefileError(at, `${JSON.stringify(text)} is no address; expected ADDRESS[:PORT]`);
  }
  const { host, bracketed, port } = match.groups;
  return {
    host: bracketed ?? host ?? "",
    port: port === undefined ? defaultPort : integer(port, at, "port", 0, 65535),
  };
}

/** Where to listen: `host:port` or `:port`. */
export function listenAddress(text: string, at: Location): { readonly host: string; readonly port: number } {
  const { host, port } = hostPort(text, at, -1);
  if (port < 0) throw new CorefileError(at, `address ${text}: missing port in address; expected [ADDRESS]:PORT`);
  return { host, port };
}

/** Canonical lower-case name for text that was checked before. */
export function canonicalName(text: string): string {
  return lowerName(parseName(text));
}

/** A regular expression in Go's syntax. Clients choose what it is tried on: it may not backtrack for ever. */
export function regexp(pattern: string, at: Location): RegExp {
  boundBacktracking();
  try {
    return compileRegExp(pattern, "captures");
  } catch (error) {
    throw new CorefileError(at, `invalid regex pattern ${JSON.stringify(pattern)}: ${(error as Error).message}`);
  }
}
