import { describe, expect, it } from "vitest";
import { freePort, freePorts } from "#base/testing/ports.ts";
import { eventually, testServers } from "../../testing.ts";

const { start } = testServers();

describe("loop", () => {
  it("ends the program when its own probe comes back", async () => {
    const port = await freePort();
    const { fatal } = await start(`.:${port} {\n loop\n forward . 127.0.0.1:${port}\n}`);
    await eventually(() => fatal.length > 0);
    expect(fatal[0]).toMatch(/^Loop \(127\.0\.0\.1:\d+ -> :\d+\) detected for zone "\."\. Query: "HINFO \d+\.\d+\."$/);
  });

  it("finds its own address with bind", async () => {
    const port = await freePort();
    const { fatal } = await start(`.:${port} {\n bind 127.0.0.3\n loop\n forward . 127.0.0.3:${port}\n}`);
    await eventually(() => fatal.length > 0);
    expect(fatal[0]).toMatch(/^Loop \(127\.0\.0\.\d:\d+ -> 127\.0\.0\.3:\d+\) detected/);
  });

  it("asks the port of its own server block", async () => {
    const [other, port] = await freePorts(2);
    const { fatal } = await start(`.:${other} {\n whoami\n}\n.:${port} {\n loop\n forward . 127.0.0.1:${port}\n}`);
    await eventually(() => fatal.length > 0);
    expect(fatal[0]).toMatch(/^Loop /);
  });

  it("stays quiet without a loop", async () => {
    const { fatal, ask } = await start(`.:0 {\n loop\n forward . 127.0.0.1:${await freePort()}\n}`);
    await ask("a.example A");
    expect(fatal).toEqual([]);
  });
});
