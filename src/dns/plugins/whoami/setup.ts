import { parseIp } from "#base/ip.ts";
import { RecordType, type ResourceRecord } from "#wire/dns/index.ts";
import { makeReply, type Request, type Setup } from "../../core/index.ts";
import { args, noBlock } from "../../corefile/index.ts";

/** `whoami`: answers every query with the client's address, port and protocol, in the additional section. */
export const setup: Setup = (directive) => {
  args(directive, "whoami", 0);
  noBlock(directive);
  return {
    name: "whoami",
    handle: (request) => makeReply("whoami", { authoritative: true, additionals: clientRecords(request) }),
  };
};

function clientRecords({ question, peer }: Request): ResourceRecord[] {
  const ip = parseIp(peer.address.split("%")[0] as string);
  const below = question.name === "." ? "" : question.name;
  return [
    {
      name: question.name,
      type: ip.family === 4 ? RecordType.A : RecordType.AAAA,
      class: question.class,
      ttl: 0,
      data: { kind: "address", address: ip.bytes },
    },
    {
      name: `_${peer.protocol}.${below}`,
      type: RecordType.SRV,
      class: question.class,
      ttl: 0,
      data: { kind: "srv", priority: 0, weight: 0, port: peer.port, target: "." },
    },
  ];
}
