import { describe, expect, it } from "vitest";
import { freePort, testServers } from "../../testing.ts";

const { start, upstream } = testServers();

describe("forward", () => {
  it("answers SERVFAIL at once when nobody listens, and errors logs why", async () => {
    const { askMessage, lines } = await start(`.:0 {\n errors\n forward . 127.0.0.1:${await freePort()}\n}`);
    const begin = Date.now();
    expect((await askMessage("www.example.com A")).rcode).toBe(2);
    expect(Date.now() - begin).toBeLessThan(500);
    expect(lines.join("")).toMatch(/plugin\/errors\].*2 www.example.com. A: .*ECONNREFUSED/);
  });

  it("takes the next upstream when one fails, passes rcodes on, ignores answers to other questions", async () => {
    const good = await upstream((asked) => ({ ...asked, response: true, rcode: 3, recursionAvailable: true }));
    const { askMessage } = await start(
      `.:0 {\n forward . 127.0.0.1:${await freePort()} 127.0.0.1:${good.port} {\n policy sequential\n }\n}`,
    );
    const message = await askMessage("nope.example A");
    expect([message.rcode, message.recursionAvailable, message.authoritative]).toEqual([3, true, false]);
    const spoofing = await upstream((asked) => ({ ...asked, id: asked.id ^ 1, response: true }));
    const second = await start(
      `.:0 {\n forward . 127.0.0.1:${spoofing.port} 127.0.0.1:${good.port} {\n policy sequential\n }\n}`,
    );
    const asking = second.askMessage("nope.example A");
    expect((await asking.catch(() => undefined))?.rcode ?? 3).toBe(3);
  }, 10_000);

  it("except, max_concurrent", async () => {
    const slow = await upstream(() => undefined);
    const { ask } = await start(
      `.:0 {\n forward . 127.0.0.1:${slow.port} {\n except inside.example\n max_concurrent 1\n }\n}`,
    );
    const first = ask("a.example A").catch(() => []);
    expect(await ask("x.inside.example A")).toEqual(["SERVFAIL"]);
    expect(await ask("b.example A")).toEqual(["REFUSED"]);
    await first;
  });
});
