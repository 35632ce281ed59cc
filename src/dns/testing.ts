import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import { Client } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { createLogger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import {
  decodeMessage,
  encodeMessage,
  formatRecord,
  type Message,
  query,
  rcodeName,
  typeNumber,
} from "#wire/dns/index.ts";
import { clusterObjects } from "./plugins/kubernetes/testCluster.ts";
import { DnsServer, type ServerOptions } from "./server.ts";
import { FrameReader, frame } from "./transport/frames.ts";

/** A server on loopback for tests, with an API in memory behind its kubernetes plugin. */
export interface TestServer {
  readonly server: DnsServer;
  readonly api: FakeApi;
  readonly metrics: Metrics;
  /** Log lines so far. */
  readonly lines: string[];
  readonly fatal: string[];
  readonly port: number;
  /** Asks `name type` over UDP: `NOERROR`-like rcode and then the answers as zone file lines. */
  ask(question: string): Promise<string[]>;
  askMessage(question: string, protocol?: "udp" | "tcp"): Promise<Message>;
}

/** Servers, upstreams and directories of a test file, all closed after each test. */
export function testServers() {
  const cleanups: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });
  return {
    start: async (...parameters: Parameters<typeof startTestServer>): Promise<TestServer> => {
      const started = await startTestServer(...parameters);
      cleanups.push(() => started.server.stop(true));
      return started;
    },
    upstream: async (...parameters: Parameters<typeof startUpstream>) => {
      const started = await startUpstream(...parameters);
      cleanups.push(() => started.close());
      return started;
    },
    temporary: async (): Promise<string> => {
      const directory = await mkdtemp(join(tmpdir(), "podwire-dns-"));
      cleanups.push(() => rm(directory, { recursive: true }));
      return directory;
    },
  };
}

/** Starts a Corefile's text on a port that the kernel chooses (`.:0` in the text). */
export async function startTestServer(
  corefileText: string,
  options: Partial<ServerOptions> = {},
  api = new FakeApi(),
): Promise<TestServer> {
  fillApi(api);
  const lines: string[] = [];
  const fatal: string[] = [];
  const metrics = new Metrics();
  const server = new DnsServer(
    { corefile: "Corefile", corefileText, host: "127.0.0.1", ...options },
    {
      log: createLogger("dns", { write: (line) => void lines.push(line) }),
      metrics,
      environment: {},
      fatal: (message) => void fatal.push(message),
      connectApi: async () => new Client(api),
    },
  );
  await server.start();
  const port = server.listening()[0]?.port ?? 0;
  const askMessage = (question: string, protocol: "udp" | "tcp" = "udp") =>
    protocol === "udp" ? askUdp(port, question) : askTcp(port, question);
  return {
    server,
    api,
    metrics,
    lines,
    fatal,
    port,
    askMessage,
    ask: async (question) => {
      const message = await askMessage(question);
      return [rcodeName(message.rcode), ...message.answers.map(formatRecord)];
    },
  };
}

/** Puts the test cluster's objects into an API. */
export function fillApi(api: FakeApi): void {
  const { namespaces, services, slices, pods } = clusterObjects();
  for (const object of namespaces) api.put("/api/v1/namespaces", object);
  for (const object of services) api.put("/api/v1/services", object);
  for (const object of slices) api.put("/apis/discovery.k8s.io/v1/endpointslices", object);
  for (const object of pods) api.put("/api/v1/pods", object);
}

/** The bytes of a query `name type`. */
export function queryBytes(question: string, id = 4711): Uint8Array {
  const [name, type] = question.split(" ") as [string, string];
  return encodeMessage(
    query(id, { name: name.endsWith(".") ? name : `${name}.`, type: typeNumber(type) ?? 1, class: 1 }),
  );
}

/** Sends bytes over UDP; the answer, or undefined when none comes within the time. */
export async function exchangeBytes(
  port: number,
  packet: Uint8Array,
  waitMs = 10_000,
): Promise<Uint8Array | undefined> {
  const socket = createSocket("udp4");
  try {
    const answer = once(socket, "message", { signal: AbortSignal.timeout(waitMs) });
    socket.send(packet, port, "127.0.0.1");
    const [bytes] = (await answer) as [Uint8Array];
    return bytes;
  } catch {
    return undefined;
  } finally {
    socket.close();
  }
}

async function askUdp(port: number, question: string): Promise<Message> {
  const bytes = await exchangeBytes(port, queryBytes(question));
  if (!bytes) throw new Error(`no answer to ${question}`);
  return decodeMessage(bytes);
}

async function askTcp(port: number, question: string): Promise<Message> {
  const [message] = await askTcpMany(port, [question]);
  return message as Message;
}

/** Sends several questions at once over one TCP connection; answers in the order they come, ids from 1. */
export async function askTcpMany(port: number, questions: readonly string[]): Promise<Message[]> {
  const socket = connect(port, "127.0.0.1");
  const reader = new FrameReader();
  const messages: Message[] = [];
  socket.write(Buffer.concat(questions.map((question, i) => frame(queryBytes(question, i + 1)))));
  for await (const chunk of socket) {
    reader.push(chunk as Uint8Array);
    for (let packet = reader.next(); packet; packet = reader.next()) messages.push(decodeMessage(packet));
    if (messages.length >= questions.length) break;
  }
  socket.destroy();
  return messages;
}

/** An upstream server over UDP on loopback that answers with what `answer` makes; counts queries. */
export async function startUpstream(answer: (asked: Message) => Message | undefined): Promise<{
  readonly port: number;
  readonly asked: Message[];
  close(): Promise<void>;
}> {
  const asked: Message[] = [];
  const socket = createSocket("udp4");
  socket.on("message", (packet, from) => {
    const message = decodeMessage(packet);
    asked.push(message);
    const reply = answer(message);
    if (reply) socket.send(encodeMessage(reply), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    port: socket.address().port,
    asked,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

/** Waits until the check passes, for things that an event of the kernel brings about. */
export async function eventually(check: () => boolean | Promise<boolean>, waitMs = 15_000): Promise<void> {
  const end = Date.now() + waitMs;
  while (!(await check())) {
    if (Date.now() > end) throw new Error("did not happen in time");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
