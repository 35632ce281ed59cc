import { RecordType, type ResourceRecord } from "#wire/dns/index.ts";
import type { Reply, Setup } from "../../core/index.ts";
import { args, CorefileError, noBlock } from "../../corefile/index.ts";

/** `loadbalance [round_robin]`: puts A, AAAA and MX records of an answer in a new random order each time. */
export const setup: Setup = (directive) => {
  const policy = directive.args[0]?.text ?? "round_robin";
  if (policy !== "round_robin") {
    throw new CorefileError(directive.at, `policy ${policy} of loadbalance; allowed: round_robin`);
  }
  args(directive, "loadbalance [round_robin]", 0, 1);
  noBlock(directive);
  return {
    name: "loadbalance",
    hot: "shuffles",
    handle: (request, next) => {
      const reply = next(request);
      return reply instanceof Promise ? reply.then(shuffled) : shuffled(reply);
    },
  };
};

const movable: ReadonlySet<number> = new Set([RecordType.A, RecordType.AAAA, RecordType.MX]);

function shuffled(reply: Reply): Reply {
  return { ...reply, answers: shuffleRecords(reply.answers), additionals: shuffleRecords(reply.additionals) };
}

/** CNAMEs first, then what does not move, then addresses and MX records shuffled. */
export function shuffleRecords(
  records: readonly ResourceRecord[],
  random: () => number = Math.random,
): readonly ResourceRecord[] {
  if (records.length < 2) return records;
  const aliases = records.filter((record) => record.type === RecordType.CNAME);
  const fixed = records.filter((record) => record.type !== RecordType.CNAME && !movable.has(record.type));
  const moving = records.filter((record) => movable.has(record.type));
  for (let i = moving.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [moving[i], moving[j]] = [moving[j] as ResourceRecord, moving[i] as ResourceRecord];
  }
  return [...aliases, ...fixed, ...moving];
}
