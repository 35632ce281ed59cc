import { className, isSubdomain, Rcode, rcodeName, typeName } from "#wire/dns/index.ts";
import type { Outcome, Reply, Request, Setup } from "../../core/index.ts";
import { CorefileError, duration, oneArg, readProperties, zonesOf } from "../../corefile/index.ts";

/** Kinds of answers that `class` tells apart (CoreDNS' response types, grouped). */
const classes = ["all", "success", "denial", "error"] as const;
type AnswerClass = (typeof classes)[number];

/** CoreDNS' common log format, and with name server's flags its combined one. */
const commonFormat =
  '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration}';

/** `log [NAMES…] [FORMAT] { class CLASSES…; minDuration DURATION }`: one line per answered query. */
export const setup: Setup = (directive, { log }) => {
  const last = directive.args.at(-1)?.text;
  const format = last?.includes("{") ? formatOf(last) : commonFormat;
  const names = last?.includes("{") ? directive.args.slice(0, -1) : directive.args;
  const zones = names.length === 0 ? ["."] : names.flatMap((token) => zonesOf(token.text, token));
  const wanted = new Set<AnswerClass>();
  let slowSeconds = Number.POSITIVE_INFINITY;
  readProperties(directive, {
    class: (property) => {
      if (property.args.length === 0)
        throw new CorefileError(property.at, `class of nothing; allowed: ${classes.join(", ")}`);
      for (const { text, ...at } of property.args) {
        const known = classes.find((name) => name === text);
        if (!known) throw new CorefileError(at, `invalid Class: ${text}; allowed: ${classes.join(", ")}`);
        wanted.add(known);
      }
    },
    minDuration: (property) => {
      const text = oneArg(property, "minDuration DURATION");
      slowSeconds = duration(text, property.at, "minDuration") / 1000;
    },
  });
  if (wanted.size === 0) wanted.add("all");
  return {
    name: "log",
    answered: (request, reply, outcome) => {
      if (!wanted.has("all") && !wanted.has(classOf(reply)) && outcome.seconds < slowSeconds) return;
      if (!zones.some((zone) => isSubdomain(request.name, zone))) return;
      log.line(`[INFO] ${formatLine(format, request, reply, outcome)}`); // in CoreDNS' form, for those who search it
    },
  };
};

function formatOf(text: string): string {
  return text.replaceAll("{common}", commonFormat).replaceAll("{combined}", `${commonFormat} "{>opcode}"`);
}

function classOf(reply: Reply): AnswerClass {
  if (reply.rcode === Rcode.NXDOMAIN || (reply.rcode === Rcode.NOERROR && reply.answers.length === 0)) return "denial";
  return reply.rcode === Rcode.NOERROR ? "success" : "error";
}

/** A log line: `{name}` and its like filled in, unknown ones left as `-` (CoreDNS' replacer). */
export function formatLine(format: string, request: Request, reply: Reply, outcome: Outcome): string {
  const { question, message, peer } = request;
  const bracketed = (address: string) => (address.includes(":") ? `[${address}]` : address);
  const values: Readonly<Record<string, string>> = {
    remote: bracketed(peer.address),
    ...(peer.local !== undefined && { local: bracketed(peer.local) }),
    port: String(peer.port),
    proto: peer.protocol,
    type: typeName(question.type),
    class: className(question.class),
    name: question.name,
    size: String(outcome.requestBytes),
    rsize: String(outcome.responseBytes),
    rcode: rcodeName(reply.rcode),
    duration: `${outcome.seconds.toFixed(9)}s`,
    ">id": String(message.id),
    ">opcode": String(message.opcode),
    ">do": String(message.edns?.dnssecOk ?? false),
    ">bufsize": String(peer.protocol === "tcp" ? 65535 : Math.max(message.edns?.udpSize ?? 512, 512)),
    ">rflags": flagsOf(request, reply),
  };
  const known = (key: string) => (key.startsWith("/") ? reply.metadata?.get(key.slice(1))?.() : values[key]);
  return format.replaceAll(/\{([^{}]+)\}/g, (_all, key: string) => known(key) || "-");
}

function flagsOf({ message }: Request, reply: Reply): string {
  const flags = ["qr"];
  if (reply.authoritative) flags.push("aa");
  if (reply.truncated) flags.push("tc");
  if (message.recursionDesired) flags.push("rd");
  if (reply.recursionAvailable) flags.push("ra");
  if (reply.authenticData) flags.push("ad");
  if (message.checkingDisabled) flags.push("cd");
  return flags.join(",");
}
