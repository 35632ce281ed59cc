import { readFile, stat } from "node:fs/promises";
import { isIP } from "node:net";
import { resolve } from "node:path";
import { errorMessage } from "#base/errors.ts";
import { lowerName, Rcode, RecordClass, RecordType, type ResourceRecord } from "#wire/dns/index.ts";
import {
  type Fallthrough,
  fallsThrough,
  type Handler,
  longestZone,
  makeReply,
  noFallthrough,
  type Plugin,
  type Reply,
  type Request,
  readFallthrough,
  type Setup,
  type SetupContext,
} from "../../core/index.ts";
import {
  args,
  CorefileError,
  type Directive,
  duration,
  integer,
  noBlock,
  oneArg,
  zonesOf,
} from "../../corefile/index.ts";
import { type HostTable, mergeHosts, parseHosts } from "./hostsFile.ts";

interface HostsOptions {
  readonly file: string;
  readonly zones: readonly string[];
  readonly inline: HostTable;
  readonly ttl: number;
  readonly reloadMs: number;
  readonly reverse: boolean;
  readonly fallthrough: Fallthrough;
}

/** `hosts [FILE [ZONES...]] { [INLINE] ttl SECONDS; no_reverse; reload DURATION; fallthrough [ZONES...] }`. */
export const setup: Setup = (directive, context) => new HostsPlugin(readOptions(directive, context), context);

function readOptions(directive: Directive, { zones, directory }: SetupContext): HostsOptions {
  const [file, ...zoneTokens] = directive.args;
  const inline: string[] = [];
  let ttl = 3600;
  let reloadMs = 5000;
  let reverse = true;
  let fallthrough = noFallthrough;
  for (const property of directive.block ?? []) {
    noBlock(property);
    if (isIP(property.name) !== 0) inline.push([property.name, ...property.args.map((token) => token.text)].join(" "));
    else if (property.name === "ttl") ttl = integer(oneArg(property, "ttl SECONDS"), property.at, "ttl", 1, 65535);
    else if (property.name === "reload")
      reloadMs = duration(oneArg(property, "reload DURATION"), property.at, "reload");
    else if (property.name === "no_reverse") {
      args(property, "no_reverse", 0);
      reverse = false;
    } else if (property.name === "fallthrough") fallthrough = readFallthrough(property);
    else {
      const allowed = "an address with names, ttl, no_reverse, reload, fallthrough";
      throw new CorefileError(property.at, `unknown property '${property.name}' of hosts; allowed: ${allowed}`);
    }
  }
  return {
    file: resolve(directory, file?.text ?? "/etc/hosts"),
    zones: zoneTokens.length > 0 ? zoneTokens.flatMap((token) => zonesOf(token.text, token)) : zones,
    inline: parseHosts(inline.join("\n")),
    ttl,
    reloadMs,
    reverse,
    fallthrough,
  };
}

/** Answers from a hosts file, which is read again when it changed. */
class HostsPlugin implements Plugin {
  readonly name = "hosts";
  readonly #options: HostsOptions;
  readonly #context: SetupContext;
  #table: HostTable;
  #version = "";
  #timer: NodeJS.Timeout | undefined;

  constructor(options: HostsOptions, context: SetupContext) {
    this.#options = options;
    this.#context = context;
    this.#table = options.inline;
  }

  async start(): Promise<void> {
    await this.#read();
    const { reloadMs } = this.#options;
    if (reloadMs > 0) this.#timer = setInterval(() => void this.#read(), reloadMs).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
  }

  handle(request: Request, next: Handler): Reply | Promise<Reply> {
    const { zones, fallthrough } = this.#options;
    const { name, question } = request;
    const asksForNames = question.type === RecordType.PTR;
    // A reverse name counts wherever the server block lets it come: zones name forward names.
    if (longestZone(zones, name) === undefined && !asksForNames) return next(request);
    const answers = asksForNames ? this.#reverse(request) : this.#forward(request);
    if (answers.length === 0 && asksForNames) return next(request);
    if (answers.length > 0 || this.#table.addresses.has(name))
      return makeReply(this.name, { authoritative: true, answers });
    if (fallsThrough(fallthrough, name)) return next(request);
    // Without an SOA record there is no proper NXDOMAIN to give; CoreDNS says SERVFAIL here.
    return makeReply(this.name, { rcode: Rcode.SERVFAIL });
  }

  #forward({ question, name }: Request): ResourceRecord[] {
    const size = question.type === RecordType.A ? 4 : question.type === RecordType.AAAA ? 16 : 0;
    return (this.#table.addresses.get(name) ?? [])
      .filter((ip) => ip.bytes.length === size)
      .map((ip) => ({
        name: question.name,
        type: question.type,
        class: RecordClass.IN,
        ttl: this.#options.ttl,
        data: { kind: "address", address: ip.bytes },
      }));
  }

  #reverse({ question, name }: Request): ResourceRecord[] {
    const { reverse, zones } = this.#options;
    const names = reverse ? (this.#table.names.get(name) ?? []) : [];
    const known = names.filter((target) => longestZone(zones, lowerName(target)) !== undefined);
    return known.map((target) => ({
      name: question.name,
      type: RecordType.PTR,
      class: RecordClass.IN,
      ttl: this.#options.ttl,
      data: { kind: "name", target },
    }));
  }

  #count(readSeconds: number): void {
    const { metrics } = this.#context.instance;
    const sum = (map: ReadonlyMap<string, readonly unknown[]>) =>
      [...map.values()].reduce((n, list) => n + list.length, 0);
    const { addresses, names } = this.#table;
    metrics
      .gauge("coredns_hosts_entries", "The combined number of entries in hosts and Corefile.")
      .set(sum(addresses) + sum(names));
    metrics
      .gauge("coredns_hosts_reload_timestamp_seconds", "The timestamp of the last reload of hosts file.")
      .set(readSeconds);
  }

  /** Reads the file when its time or size changed. While it cannot be read what was read last stays in use. */
  async #read(): Promise<void> {
    const { file, inline } = this.#options;
    try {
      const info = await stat(file);
      const version = `${info.ino}/${info.mtimeMs}/${info.size}`;
      if (version === this.#version) return;
      this.#version = version;
      this.#table = mergeHosts(parseHosts(await readFile(file, "utf8")), inline);
      this.#count(info.mtimeMs / 1000);
    } catch (error) {
      if (this.#version === "gone") return;
      const kept = this.#version === "" ? "" : "; its last content stays in use";
      this.#version = "gone";
      this.#context.log.warn(`${file} cannot be read${kept}: ${errorMessage(error)}`);
    }
  }
}
