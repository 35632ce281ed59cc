import { resolve } from "node:path";
import { errorMessage } from "#base/errors.ts";
import { type Cidr, parseCidr, tryParseIp } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import type { Metrics } from "#base/metrics.ts";
import { type EdnsOption, Rcode, typeNumber } from "#wire/dns/index.ts";
import {
  type Handler,
  longestZone,
  makeReply,
  type Plugin,
  type Reply,
  type Request,
  type Setup,
  type SetupContext,
} from "../../core/index.ts";
import { CorefileError, type Directive, noBlock, type Token, zonesOrDefault } from "../../corefile/index.ts";
import { type Action, actionFor, type Policy } from "./rules.ts";

const actions: readonly Action[] = ["allow", "block", "filter", "drop"];
const sections: ReadonlySet<string> = new Set(["type", "net", "file"]);

/** Extended DNS errors 15 "Blocked" and 17 "Filtered" (RFC 8914 §4). */
const blocked = extendedError(15);
const filtered = extendedError(17);

/** Rules of one acl directive. */
interface Rule {
  readonly zones: readonly string[];
  readonly policies: readonly Policy[];
}

/** `acl [ZONES...] { ACTION [type QTYPE...] [net SOURCE...] [file LOCAL_FILE...] }`: who may ask what. */
export const setup: Setup = (directive, context) => {
  const { zones, instance, log, siblings } = context;
  const policies = (directive.block ?? []).map((property) => policyOf(property, context));
  const rule = { zones: zonesOrDefault(directive.args, zones), policies };
  // All of a server block's are one list: what the first allows, the second does not block.
  const before = siblings().find((plugin) => plugin instanceof AclPlugin);
  if (!before) return new AclPlugin(rule, instance.metrics, log);
  before.add(rule);
  return { name: "acl" };
};

class AclPlugin implements Plugin {
  readonly name = "acl";
  readonly #rules: Rule[];
  readonly #count: ReturnType<typeof counters>;
  readonly #log: Logger;

  constructor(rule: Rule, metrics: Metrics, log: Logger) {
    this.#rules = [rule];
    this.#count = counters(metrics);
    this.#log = log;
  }

  add(rule: Rule): void {
    this.#rules.push(rule);
  }

  handle(request: Request, next: Handler): Reply | Promise<Reply> {
    const { action, zone } = this.#actionFor(request);
    this.#count(action, request.server, zone);
    return refusal(action) ?? next(request);
  }

  #actionFor({ name, peer, question }: Request): { readonly action: Action; readonly zone: string } {
    const client = tryParseIp(peer.address.split("%")[0] as string);
    for (const { zones, policies } of this.#rules) {
      const zone = longestZone(zones, name);
      if (zone === undefined) continue;
      if (!client) this.#log.error(`Blocking request. Unable to parse source address: ${peer.address}`);
      const action = client ? actionFor(policies, question.type, client) : "block";
      if (action !== undefined) return { action, zone };
    }
    return { action: "allow", zone: "" };
  }
}

function refusal(action: Action): Reply | undefined {
  if (action === "block") return makeReply("acl", { rcode: Rcode.REFUSED, options: [blocked] });
  if (action === "filter") return makeReply("acl", { options: [filtered] });
  return action === "drop" ? makeReply("acl", { drop: true }) : undefined;
}

function extendedError(code: number): EdnsOption {
  return { code: 15, data: Uint8Array.of(code >> 8, code & 255) };
}

function counters(metrics: Metrics): (action: Action, server: string, zone: string) => void {
  const counter = (name: string, what: string) =>
    metrics.counter(`coredns_acl_${name}_requests_total`, `Counter of DNS requests being ${what}.`);
  const byAction = {
    allow: counter("allowed", "allowed"),
    block: counter("blocked", "blocked"),
    filter: counter("filtered", "filtered"),
    drop: counter("dropped", "dropped"),
  };
  return (action, server, zone) =>
    byAction[action].inc(action === "allow" ? { server, view: "" } : { server, zone, view: "" });
}

function policyOf(property: Directive, context: SetupContext): Policy {
  noBlock(property);
  const action = actions.find((known) => known === property.name.toLowerCase());
  if (!action) {
    throw new CorefileError(
      property.at,
      `unexpected token '${property.name}'; expect 'allow', 'block', 'filter' or 'drop'`,
    );
  }
  const types: number[] = [];
  const networks: Cidr[] = [];
  let [anyType, anyNetwork] = [false, false];
  for (const { section, tokens } of sectionsOf(property)) {
    for (const token of tokens) {
      if (section === "type" && token.text === "*") anyType = true;
      else if (section === "type") types.push(typeOf(token));
      else if (section === "net" && token.text === "*") anyNetwork = true;
      else if (section === "net") networks.push(networkOf(token.text, token));
      else networks.push(...networksOfFile(token, context));
    }
  }
  return {
    action,
    ...(types.length > 0 && !anyType && { types: new Set(types) }),
    ...(networks.length > 0 && !anyNetwork && { networks }),
  };
}

/** `type A AAAA net 10.0.0.0/8` as its sections. */
function sectionsOf({ args }: Directive): { readonly section: string; readonly tokens: Token[] }[] {
  const found: { readonly section: string; readonly tokens: Token[]; readonly at: Token }[] = [];
  for (const token of args) {
    const word = token.text.toLowerCase();
    if (sections.has(word)) found.push({ section: word, tokens: [], at: token });
    else if (found.length === 0) {
      throw new CorefileError(token, `unexpected token '${token.text}'; expect 'type | net | file'`);
    } else found.at(-1)?.tokens.push(token);
  }
  for (const { section, tokens, at } of found) {
    if (tokens.length === 0) throw new CorefileError(at, `no token specified in '${section}' section`);
  }
  return found;
}

function typeOf(token: Token): number {
  const type = typeNumber(token.text);
  if (type === undefined) throw new CorefileError(token, `unexpected token '${token.text}'; expect legal QTYPE`);
  return type;
}

function networkOf(text: string, at: Token): Cidr {
  try {
    return parseCidr(text.includes("/") ? text : `${text}/${text.includes(":") ? 128 : 32}`);
  } catch {
    throw new CorefileError(at, `illegal CIDR notation '${text}'`);
  }
}

function networksOfFile(token: Token, { directory, readText }: SetupContext): Cidr[] {
  let text: string;
  try {
    text = readText(resolve(directory, token.text));
  } catch (error) {
    throw new CorefileError(token, `unable to load networks from local file: ${errorMessage(error)}`);
  }
  const lines = text.split("\n").map((line) => (line.split("#")[0] as string).trim());
  return lines.filter(Boolean).map((line) => networkOf(line, token));
}
