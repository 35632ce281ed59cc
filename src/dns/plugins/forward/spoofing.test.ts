import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { decodeMessage, encodeMessage, type Message } from "#wire/dns/index.ts";
import { testServers } from "../../testing.ts";

const { start } = testServers();

/** An answer with one address. */
function answerTo(asked: Message, last: number, changes: Partial<Message> = {}): Uint8Array {
  const [question] = asked.questions;
  const data = { kind: "address", address: Uint8Array.of(192, 0, 2, last) } as const;
  const answers = question ? [{ name: question.name, type: 1, class: 1, ttl: 60, data }] : [];
  return encodeMessage({ ...asked, response: true, answers, ...changes });
}

/** An upstream; `answer` is given what was asked, from where, and two sockets to send by. */
async function upstream(answer: (asked: Message, port: number, send: (bytes: Uint8Array) => void) => void) {
  const socket = createSocket("udp4");
  socket.on("message", (packet, from) =>
    answer(decodeMessage(packet), from.port, (bytes) => socket.send(bytes, from.port, from.address)),
  );
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return socket;
}

const spoofed = 66;
const genuine = 1;

describe("forged answers of upstreams", () => {
  it("are passed over: another id, another question, another port, no answer at all, broken bytes", async () => {
    const other = createSocket("udp4");
    const real = await upstream((asked, port, send) => {
      const [question] = asked.questions;
      if (!question) return;
      for (let i = 1; i < 50; i++) send(answerTo(asked, spoofed, { id: (asked.id + i) % 65_536 }));
      send(answerTo(asked, spoofed, { questions: [{ ...question, name: "b.example." }] }));
      send(answerTo(asked, spoofed, { questions: [{ ...question, type: 28 }] }));
      send(answerTo(asked, spoofed, { questions: [{ ...question, class: 3 }] }));
      send(answerTo(asked, spoofed, { questions: [] }));
      send(answerTo(asked, spoofed, { response: false }));
      send(answerTo(asked, spoofed).subarray(0, 30));
      other.send(answerTo(asked, spoofed), port, "127.0.0.1", () => send(answerTo(asked, genuine)));
    });
    const { ask } = await start(`.:0 {\n forward . 127.0.0.1:${real.address().port}\n}`);
    for (let i = 0; i < 5; i++) expect((await ask(`a${i}.example A`))[1]).toMatch(/ A 192\.0\.2\.1$/);
    real.close();
    other.close();
  });

  it("have to guess: ids and ports of questions do not repeat or follow each other", async () => {
    const ids: number[] = [];
    const ports: number[] = [];
    const real = await upstream((asked, port, send) => {
      ids.push(asked.id);
      ports.push(port);
      send(answerTo(asked, genuine));
    });
    const { ask } = await start(`.:0 {\n forward . 127.0.0.1:${real.address().port}\n}`);
    const count = 60;
    for (let i = 0; i < count; i++) await ask(`a${i}.example A`);
    real.close();
    for (const seen of [ids, ports]) {
      // Of 60 random numbers of at least 14 bits, a few may meet; a counter would have 59 steps of one.
      expect(new Set(seen).size).toBeGreaterThan(count - 5);
      const steps = seen.slice(1).map((value, i) => Math.abs(value - (seen[i] as number)));
      expect(steps.filter((step) => step < 10).length).toBeLessThan(10);
    }
  });
});
