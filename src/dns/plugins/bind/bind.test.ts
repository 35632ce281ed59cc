import { describe, expect, it } from "vitest";
import { freePort } from "#base/testing/ports.ts";
import { decodeMessage, formatRecord } from "#wire/dns/index.ts";
import { refusal, testBlock } from "../../plugins/testBlock.ts";
import { exchangeBytes, queryBytes, testServers } from "../../testing.ts";

const { start, upstream } = testServers();

describe("bind", () => {
  it("serves at the addresses named, the same zone differently at each", async () => {
    const port = await freePort();
    const answer = (address: string) =>
      ` template IN A {\n  answer "{{ .Name }} 60 IN A ${address}"\n }\n bind ${address}\n`;
    const { server } = await start(`.:${port} {\n${answer("127.0.0.1")}}\n.:${port} {\n${answer("127.0.0.2")}}`);
    expect(server.listening().map(({ address }) => address)).toEqual(["127.0.0.1", "127.0.0.2"]);
    const bytes = await exchangeBytes(port, queryBytes("a.example A"));
    expect(bytes && decodeMessage(bytes).answers.map(formatRecord)).toEqual(["a.example. 60 IN A 127.0.0.1"]);
  });

  it("takes interfaces and leaves out exceptions", async () => {
    const { plugins } = await testBlock(". {\n bind lo 192.0.2.1 {\n  except 192.0.2.1\n }\n}");
    expect(plugins[0]?.addresses).toContain("127.0.0.1");
    expect(plugins[0]?.addresses).not.toContain("192.0.2.1");
    expect(await refusal(". {\n bind nowhere\n}")).toContain('not a valid IP address or interface name: "nowhere"');
    expect(await refusal(". {\n bind 192.0.2.1\n}\n. {\n bind 192.0.2.1\n}")).toBe(
      "Corefile:4: zone . on port 53 of 192.0.2.1 is already defined at Corefile:1",
    );
  });
});

describe("cancel, timeouts, debug, root", () => {
  it("cancel fails a query that takes too long", async () => {
    const silent = await upstream(() => undefined);
    const { ask } = await start(`.:0 {\n cancel 20ms\n forward . 127.0.0.1:${silent.port}\n}`);
    expect(await ask("a.example A")).toEqual(["SERVFAIL"]);
    expect(await refusal(". {\n cancel 0\n}")).toBe("Corefile:2: invalid timeout: 0");
  });

  it("timeouts names its bounds", async () => {
    const { plugins } = await testBlock(". {\n timeouts {\n  read 10s\n  write 15\n  idle 1m\n }\n whoami\n}");
    expect(plugins[0]?.tcpTimeouts).toEqual({ readMs: 10_000, writeMs: 15_000, idleMs: 60_000 });
    expect(await refusal(". {\n timeouts {\n }\n}")).toContain("timeouts block with no timeouts specified");
    expect(await refusal(". {\n timeouts {\n  idle 500ms\n }\n}")).toBe(
      "Corefile:3: timeout provided '500ms' needs to be between 1 second and 24 hours",
    );
  });

  it("root is where relative names are, and tells when it is not there", async () => {
    const { lines } = await testBlock(". {\n root /nowhere/at/all\n file db.example example.org {\n reload 5s\n }\n}");
    expect(lines.join("")).toContain("Root path does not exist: /nowhere/at/all");
    expect(lines.join("")).toContain("/nowhere/at/all/db.example");
  });

  it("debug writes what is otherwise left out", async () => {
    const port = await freePort();
    const text = (more: string) => `.:0 {\n health 127.0.0.1:${port}\n${more}}`;
    const quiet = await start(text(""));
    expect(quiet.lines.join("")).not.toContain("Serving /health");
    await quiet.server.stop(true);
    expect((await start(text(" debug\n"))).lines.join("")).toContain("Serving /health");
  });
});
