import { describe, expect, it } from "vitest";
import { freePorts } from "#base/testing/ports.ts";
import { testServers } from "../../testing.ts";

const { start } = testServers();

describe("health, ready, prometheus, log", () => {
  it("serve over HTTP; metrics have CoreDNS' names", async () => {
    const [health = 0, ready = 0, metrics = 0] = await freePorts(3);
    const { ask, lines } = await start(
      `.:0 {\n log\n health 127.0.0.1:${health}\n ready 127.0.0.1:${ready}\n prometheus 127.0.0.1:${metrics}\n hosts {\n 10.0.0.1 a.example\n }\n}`,
    );
    await ask("a.example A");
    const get = async (port: number, path: string) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      return [response.status, await response.text()] as const;
    };
    expect(await get(health, "/health")).toEqual([200, "OK"]);
    expect(await get(ready, "/ready")).toEqual([200, "OK"]);
    expect((await get(ready, "/other"))[0]).toBe(404);
    const [, text] = await get(metrics, "/metrics");
    expect(text).toContain(
      'coredns_dns_requests_total{server="dns://:0",zone=".",view="",proto="udp",family="1",type="A"} 1',
    );
    expect(text).toContain(
      'coredns_dns_responses_total{server="dns://:0",zone=".",view="",rcode="NOERROR",plugin="hosts"} 1',
    );
    expect(lines.join("")).toMatch(
      /127\.0\.0\.1:\d+ - 4711 .*A IN a\.example\. udp 27 false 512.*NOERROR qr,aa,rd 43 0\.\d+s/,
    );
  });
});
