import { Rcode, RecordClass, type RecordData, RecordType, type ResourceRecord } from "#wire/dns/index.ts";
import { longestZone, makeReply, type Reply, type Setup } from "../../core/index.ts";
import { args, noBlock } from "../../corefile/index.ts";

/** A week (RFC 6303 leaves it open; CoreDNS' value). */
const ttl = 604_800;

/** Zones of this machine alone (RFC 6303, 6761). */
const localZones = ["localhost.", "0.in-addr.arpa.", "127.in-addr.arpa.", "255.in-addr.arpa."];

/** `local`: answers for localhost and the reverse zones of addresses that never leave a machine. */
export const setup: Setup = (directive, { instance }) => {
  args(directive, "local", 0);
  noBlock(directive);
  const intercepted = instance.metrics.counter(
    "coredns_local_localhost_requests_total",
    "Counter of localhost.<domain> requests.",
  );
  return {
    name: "local",
    handle: (request, next) => {
      const { name, question } = request;
      const zone = longestZone(localZones, name);
      // `localhost.example.org`: a search list was applied to localhost.
      const searched = name.startsWith("localhost.") && name !== "localhost.";
      if (searched) intercepted.inc();
      if (searched || name.endsWith(".localhost.")) return localhost(question.name, question.type, question.name);
      if (zone === undefined) return next(request);
      return zone === name ? apex(question.name, question.type, name) : below(question.name, question.type, name, zone);
    },
  };
};

function apex(owner: string, type: number, zone: string): Reply {
  if (type === RecordType.SOA) return answer(soa(owner));
  if (type === RecordType.NS) return answer(record(owner, type, { kind: "name", target: "localhost." }));
  return zone === "localhost." ? localhost(owner, type, owner) : makeReply("local", { authorities: [soa(owner)] });
}

function below(owner: string, type: number, name: string, zone: string): Reply {
  const authorities = [soa(zone)];
  if (name !== "1.0.0.127.in-addr.arpa.") return makeReply("local", { rcode: Rcode.NXDOMAIN, authorities });
  if (type !== RecordType.PTR) return makeReply("local", { authorities });
  return answer(record(owner, type, { kind: "name", target: "localhost." }));
}

function localhost(owner: string, type: number, origin: string): Reply {
  if (type === RecordType.A)
    return answer(record(owner, type, { kind: "address", address: Uint8Array.of(127, 0, 0, 1) }));
  if (type === RecordType.AAAA) {
    const address = new Uint8Array(16);
    address[15] = 1;
    return answer(record(owner, type, { kind: "address", address }));
  }
  return makeReply("local", { authorities: [soa(origin)] });
}

function answer(...answers: ResourceRecord[]): Reply {
  return makeReply("local", { answers });
}

function soa(owner: string): ResourceRecord {
  const times = { serial: 1, refresh: 0, retry: 0, expire: 0, minimum: ttl };
  return record(owner, RecordType.SOA, { kind: "soa", mname: "localhost.", rname: "root.localhost.", ...times });
}

function record(name: string, type: number, data: RecordData): ResourceRecord {
  return { name, type, class: RecordClass.IN, ttl, data };
}
