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
  if (answer.rcode === Rcode.NXDOMAIN && fallsThrough(fallthrough, name)) return next(request);
  const reply = replyOf(plugin, answer);
  if (answer.outside === undefined || (request.depth ?? 0) >= maxDepth) return reply;
  return Promise.resolve(instance.resolve(withQuestion(request, answer.outside, question.type))).then((found) => ({
    ...reply,
    answers: [...reply.answers, ...found.answers],
  }));
}

function replyOf(plugin: string, { rcode, authoritative, answers, authorities, additionals }: ZoneAnswer): Reply {
  return makeReply(plugin, { rcode, authoritative, answers, authorities, additionals });
}
