import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  decodeMessage,
  encodeMessage,
  type Message,
  query,
  Rcode,
  RecordClass,
  RecordType,
  type ResourceRecord,
  typeName,
} from "#wire/dns/index.ts";
import {
  answerFor,
  type LookupCase,
  lookupCases,
  type SaidAnswer,
  SERVERS,
  type SeenQuery,
  sourceCases,
} from "./lookupCases.ts";

/*
 * Runs lookups by real resolvers, and writes what name servers saw of each, as JSON: in network and mount namespaces of
 * its own. Several run at once, since most of their time is waiting: each has a resolv.conf and servers of its own,
 * 127.0.K.1 for 127.0.0.1. Words: the program that asks musl, or nothing.
 */
const [muslProgram] = process.argv.slice(2);
const RCODES: Readonly<Record<string, number>> = {
  nxdomain: Rcode.NXDOMAIN,
  servfail: Rcode.SERVFAIL,
  refused: Rcode.REFUSED,
};
/** Longest lookup, in ms. */
const LONGEST_MS = 30_000;
/** Lookups at a time. */
const AT_ONCE = 24;
/** What we ask ourselves: what a server gets before it, it has seen by then. */
const MARK = "mark.";
const folder = mkdtempSync(join(tmpdir(), "podwire-lookups-"));

/** Servers of a lookup at a time. */
class Servers {
  readonly #place: number;
  readonly #seen: SeenQuery[] = [];

  constructor(place: number) {
    this.#place = place;
  }

  /** The address of a server here. */
  here(text: string): string {
    return text.replaceAll("127.0.0.", `127.0.${this.#place}.`);
  }

  /** What the servers saw since the last call; resolves when they have read all that has come. */
  async take(): Promise<SeenQuery[]> {
    const mark = encodeMessage(query(1, { name: MARK, type: RecordType.A, class: RecordClass.IN }));
    const socket = createSocket("udp4");
    let answers = 0;
    const done = new Promise<void>((resolve) => socket.on("message", () => ++answers === SERVERS.length && resolve()));
    for (const server of SERVERS) socket.send(mark, 53, this.here(server));
    await done;
    socket.close();
    return this.#seen.splice(0);
  }

  async start(): Promise<void> {
    for (const server of SERVERS) {
      const socket = createSocket("udp4");
      socket.on("message", (packet, peer) => {
        const reply = this.#answer(packet, server, "udp");
        if (reply) socket.send(reply, peer.port, peer.address);
      });
      socket.bind(53, this.here(server));
      await once(socket, "listening");
      const tcp = createServer((connection) => this.#converse(connection, server)).listen(53, this.here(server));
      await once(tcp, "listening");
    }
  }

  #converse(connection: Socket, server: string): void {
    let rest = Buffer.alloc(0);
    connection.on("error", () => {});
    connection.on("data", (bytes) => {
      rest = Buffer.concat([rest, bytes as Buffer]);
      while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
        const end = 2 + rest.readUInt16BE(0);
        const reply = this.#answer(rest.subarray(2, end), server, "tcp");
        rest = rest.subarray(end);
        if (reply) connection.write(Buffer.concat([Uint8Array.of(reply.length >> 8, reply.length & 255), reply]));
      }
    });
  }

  #answer(packet: Uint8Array, server: string, protocol: SeenQuery["protocol"]): Uint8Array | undefined {
    const message = decoded(packet);
    if (!message) return undefined;
    const [question] = message.questions;
    if (!question) return undefined;
    const type = typeName(question.type);
    if (question.name !== MARK) this.#seen.push({ name: question.name, type, server, protocol });
    const said = answerFor(question.name, type, server);
    return said.outcome === "silent" ? undefined : replyTo(message, said);
  }
}

/** A message; none where the packet is broken: musl makes such ones of a search list with the root. */
function decoded(packet: Uint8Array): Message | undefined {
  try {
    return decodeMessage(packet);
  } catch {
    return undefined;
  }
}

function replyTo(message: Message, { outcome, address, alias }: SaidAnswer): Uint8Array {
  const { edns: _, ...plain } = message;
  const name = message.questions[0]?.name ?? ".";
  const common = { class: RecordClass.IN, ttl: 30 };
  const answers: ResourceRecord[] = [];
  if (alias !== undefined)
    answers.push({ name, type: RecordType.CNAME, ...common, data: { kind: "name", target: alias } });
  if (address !== undefined) {
    const data = { kind: "address" as const, address: Uint8Array.from(address.split(".").map(Number)) };
    answers.push({ name: alias ?? name, type: RecordType.A, ...common, data });
  }
  return encodeMessage({
    ...plain,
    response: true,
    recursionAvailable: true,
    rcode: RCODES[outcome] ?? Rcode.NOERROR,
    answers,
    authorities: [],
    additionals: [],
  });
}

function commandOf({ tool, name, words = [] }: LookupCase): string[] | undefined {
  if (tool === "glibc") return ["getent", "ahosts", name];
  if (tool === "musl") return muslProgram === undefined ? undefined : [muslProgram, name];
  return [tool, ...words, name];
}

async function run(one: LookupCase, servers: Servers, file: string): Promise<SeenQuery[] | null> {
  const command = commandOf(one);
  if (!command) return null;
  writeFileSync(file, servers.here(one.resolvConf));
  writeFileSync(`${file}.nsswitch`, one.nsswitch ?? "hosts: files dns\n");
  const script = 'mount --bind "$0" /etc/resolv.conf && mount --bind "$0.nsswitch" /etc/nsswitch.conf && exec "$@"';
  const args = ["--mount", "sh", "-c", script, file, ...command];
  const child = spawn("unshare", args, { stdio: "ignore", timeout: LONGEST_MS });
  await once(child, "exit");
  return await servers.take();
}

const all: readonly LookupCase[] = [...lookupCases, ...sourceCases];
const results: (SeenQuery[] | null)[] = [];
let next = 0;
await Promise.all(
  Array.from({ length: AT_ONCE }, async (_, index) => {
    const servers = new Servers(index + 1);
    await servers.start();
    while (next < all.length) {
      const own = next++;
      results[own] = await run(all[own] as LookupCase, servers, join(folder, `resolv.conf-${index}`));
    }
  }),
);
process.stdout.write(JSON.stringify(results));
process.exit(0);
