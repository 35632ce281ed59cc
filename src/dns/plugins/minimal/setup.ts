import { Rcode, RecordType } from "#wire/dns/index.ts";
import { mapReply, type Reply, type Setup } from "../../core/index.ts";
import { args, noBlock } from "../../corefile/index.ts";

/** `minimal`: leaves authority and additional sections out of answers that do not need them. */
export const setup: Setup = (directive) => {
  args(directive, "minimal", 0);
  noBlock(directive);
  return {
    name: "minimal",
    handle: (request, next) => mapReply(next(request), (reply) => (isDispensable(reply) ? shortened(reply) : reply)),
  };
};

/** Not for denials, errors and delegations, whose authority section is the answer. */
function isDispensable({ rcode, answers }: Reply): boolean {
  return rcode === Rcode.NOERROR && answers.some((record) => record.type !== RecordType.OPT);
}

function shortened(reply: Reply): Reply {
  return { ...reply, authorities: [], additionals: [] };
}
