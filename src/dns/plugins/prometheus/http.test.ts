import { describe, expect, it } from "vitest";
import { freePorts } from "#base/testing/ports.ts";
import { testServers } from "../../testing.ts";
import { refusal } from "../testBlock.ts";

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
    for (const name of ["log", "prometheus", "hosts"])
      expect(text).toContain(`coredns_plugin_enabled{server="dns://:0",zone=".",view="",name="${name}"} 1`);
    expect(text).not.toContain('name="health"');
    expect(text).toContain(
      'coredns_dns_requests_total{server="dns://:0",zone=".",view="",proto="udp",family="1",type="A"} 1',
    );
    expect(text).toContain(
      'coredns_dns_responses_total{server="dns://:0",zone=".",view="",rcode="NOERROR",plugin="hosts"} 1',
    );
    expect(lines.join("")).toMatch(
      /^\[INFO\] 127\.0\.0\.1:\d+ - 4711 "A IN a\.example\. udp 27 false 512" NOERROR qr,aa,rd 43 0\.\d+s$/m,
    );
  });

  it("names the plugins of each address that a block is served at", async () => {
    const [metrics] = await freePorts(1);
    const running = await start(`.:0 {\n bind 127.0.0.2 127.0.0.3\n errors\n prometheus 127.0.0.1:${metrics}\n}`);
    for (const host of ["127.0.0.2", "127.0.0.3"])
      expect(running.metrics.text()).toContain(
        `coredns_plugin_enabled{server="dns://${host}:0",zone=".",view="",name="errors"} 1`,
      );
  });

  it.each(["prometheus", "health", "ready"])("%s without a port is refused", async (plugin) => {
    expect(await refusal(`. {\n ${plugin} localhost\n}`)).toBe(
      "Corefile:2: address localhost: missing port in address; expected [ADDRESS]:PORT",
    );
  });
});
