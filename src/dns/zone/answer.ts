import { Rcode, RecordType } from "#wire/dns/index.ts";
import {
  type Fallthrough,
  fallsThrough,
  type Handler,
  type Instance,
  makeReply,
  type Reply,
  type Request,
  withQuestion,
  withTarget,
} from "../core/index.ts";
import type { Zone, ZoneAnswer } from "./zone.ts";

/** Longest chain of aliases from zone to zone. */
const maxDepth = 8;

/** Whether it asks for a whole zone, which is not given out. */
export function asksForTransfer(request: Request): boolean {
  return request.question.type === RecordType.AXFR || request.question.type === RecordType.IXFR;
}

/** A zone's answer to a request, aliases that leave the zone followed as this server itself would resolve them. */
export function zoneReply(
  plugin: string,
  zone: Zone,
  request: Request,
  next: Handler,
  { instance, fallthrough }: { readonly instance: Instance; readonly fallthrough: Fallthrough },
): Reply | Promise<Reply> {
  const { question, message, name } = request;
  const answer = zone.lookup(question.name, question.type, message.edns?.dnssecOk ?? false);
  if (answer.rcode === Rcode.NXDOMAIN && answer.answers.length === 0 && fallsThrough(fallthrough, name))
    return next(request);
  const reply = replyOf(plugin, answer);
  if (answer.outside === undefined || (request.depth ?? 0) >= maxDepth) return reply;
  return Promise.resolve(instance.resolve(withQuestion(request, answer.outside, question.type))).then((found) =>
    behindAlias(reply, found),
  );
}

/** The rcode is that of the last name (RFC 6604 §3); one that this server does not know at all is no failure. */
function behindAlias(reply: Reply, found: Reply): Reply {
  const { rcode, authorities } = found;
  const joined = withTarget(reply, found);
  if (rcode === Rcode.NXDOMAIN) return { ...joined, rcode, authorities };
  return rcode === Rcode.SERVFAIL ? { ...joined, rcode } : joined;
}

function replyOf(plugin: string, { rcode, authoritative, answers, authorities, additionals }: ZoneAnswer): Reply {
  return makeReply(plugin, { rcode, authoritative, answers, authorities, additionals });
}
