import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";
import { connectDatagrams } from "#base/datagrams.ts";
import { hasCode } from "#base/errors.ts";
import { DnsError, decodeMessage, encodeMessage, lowerName, type Message } from "#wire/dns/index.ts";

/** An upstream server's address. */
export interface Target {
  readonly host: string;
  readonly port: number;
  /** DNS over TLS, with the name that its certificate has to be of where one is given. */
  readonly tls?: { readonly servername?: string };
}

/** `10.0.0.1:53`, `[fd00::1]:53`. */
export function targetText({ host, port }: Target): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Asks over UDP and resolves with the answer. Every query has a socket of its own, so a random source port beside the
 * random id; packets that do not fit id and question are passed over (RFC 5452 §9). The socket is connected: an ICMP
 * error (nobody listens, prohibited) rejects at once.
 * @throws the socket's error, or one that says "i/o timeout"
 */
export async function exchangeUdp(query: Message, target: Target, timeoutMs: number): Promise<Message> {
  const id = randomInt(0x10000);
  const bytes = encodeMessage({ ...query, id });
  const socket = createSocket(isIPv6(target.host.split("%")[0] as string) ? "udp6" : "udp4");
  return await new Promise<Message>((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    let ended = false;
    const end = (finish: () => void) => {
      if (ended) return; // a failure to bind is told twice, one to send perhaps after the time is over
      ended = true;
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on("error", () => {});
      socket.close();
      finish();
    };
    const fail = (error: Error) => end(() => reject(failure("udp", target, error.message, error)));
    timer = setTimeout(() => fail(new Error("i/o timeout")), timeoutMs);
    socket.on("error", fail);
    socket.on("message", (packet) => {
      const answer = matching(packet, id, query);
      if (answer) end(() => resolve({ ...answer, id: query.id }));
    });
    connectDatagrams(socket, target.port, target.host).then(
      () => socket.send(bytes, (error) => error && fail(error)),
      fail, // no route, and the like
    );
  });
}

/** The error of an exchange in CoreDNS' words. */
export function failure(protocol: "udp" | "tcp", target: Target, reason: string, cause?: Error): Error {
  return new Error(`read ${protocol} ->${targetText(target)}: ${reason}`, { cause });
}

/** Whether an exchange failed for want of this machine's own means: files, memory. */
export function isOwnTrouble(error: unknown): boolean {
  const { cause } = error as Error;
  return ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"].some((code) => hasCode(cause, code));
}

/** The message when it answers this query with this id; undefined for anything else. */
export function matching(packet: Uint8Array, id: number, query: Message): Message | undefined {
  let answer: Message;
  try {
    answer = decodeMessage(packet);
  } catch (error) {
    if (error instanceof DnsError) return undefined;
    throw error;
  }
  if (answer.id !== id || !answer.response) return undefined;
  const asked = query.questions[0];
  const [echoed] = answer.questions;
  // A server that refuses may leave the question out.
  if (!echoed) return answer.rcode !== 0 ? answer : undefined;
  const same =
    asked !== undefined &&
    lowerName(echoed.name) === lowerName(asked.name) &&
    echoed.type === asked.type &&
    echoed.class === asked.class;
  return same ? answer : undefined;
}
