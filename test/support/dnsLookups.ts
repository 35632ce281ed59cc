import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import {
  decodeMessage,
  encodeMessage,
  type Message,
  Rcode,
  RecordClass,
  RecordType,
  typeName,
} from "#wire/dns/index.ts";
import { answerFor, type LookupCase, lookupCases, SERVERS, type SeenQuery } from "./lookupCases.ts";

/*
 * Runs lookups by real resolvers, and writes what name servers saw of each, as JSON: in network and mount namespaces of
 * its own, where /etc/resolv.conf may be written. Words: the program that asks musl, or nothing.
 */
const [muslProgram] = process.argv.slice(2);
const RCODES: Readonly<Record<string, number>> = {
  nxdomain: Rcode.NXDOMAIN,
  servfail: Rcode.SERVFAIL,
  refused: Rcode.REFUSED,
};
/** Longest lookup, in ms. */
const LONGEST_MS = 20_000;

let seen: SeenQuery[] = [];

function answer(message: Message, server: string): Uint8Array | undefined {
  const [question] = message.questions;
  if (!question) return undefined;
  const type = typeName(question.type);
  seen.push({ name: question.name, type, server });
  const { outcome, address = "" } = answerFor(question.name, type, server);
  const data = { kind: "address" as const, address: Uint8Array.from(address.split(".").map(Number)) };
  const record = { name: question.name, type: RecordType.A, class: RecordClass.IN, ttl: 30, data };
  const { edns: _, ...plain } = message;
  return encodeMessage({
    ...plain,
    response: true,
    recursionAvailable: true,
    rcode: RCODES[outcome] ?? Rcode.NOERROR,
    answers: outcome === "records" ? [record] : [],
    authorities: [],
    additionals: [],
  });
}

async function serve(server: string): Promise<void> {
  const socket = createSocket("udp4");
  socket.on("message", (packet, peer) => {
    const reply = answer(decodeMessage(packet), server);
    if (reply) socket.send(reply, peer.port, peer.address);
  });
  socket.bind(53, server);
  await once(socket, "listening");
}

function commandOf({ tool, name }: LookupCase): string[] | undefined {
  if (tool === "glibc") return ["getent", "ahosts", name];
  if (tool === "musl") return muslProgram === undefined ? undefined : [muslProgram, name];
  return [tool, name];
}

async function run(one: LookupCase): Promise<SeenQuery[] | undefined> {
  const [program, ...args] = commandOf(one) ?? [];
  if (program === undefined) return undefined;
  writeFileSync("/etc/resolv.conf", one.resolvConf);
  seen = [];
  const child = spawn(program, args, { stdio: "ignore", timeout: LONGEST_MS });
  await once(child, "exit");
  return seen;
}

for (const server of SERVERS) await serve(server);
const results: (SeenQuery[] | null)[] = [];
for (const one of lookupCases) results.push((await run(one)) ?? null);
process.stdout.write(JSON.stringify(results));
process.exit(0);
