import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { createLogger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import { freePorts } from "#base/testing/ports.ts";
import { configure } from "../configuration.ts";
import type { Instance } from "../core/index.ts";
import { eventually, testServers } from "../testing.ts";
import { parseCorefile, type ServerBlock } from "./index.ts";

const { start } = testServers();
const fixture = (name: string) => readFile(new URL(`./fixtures/${name}`, import.meta.url), "utf8");
/** The notes' Corefiles on ports that tests may use; everything else unchanged. */
const onFreePorts = async (text: string) => {
  const [metrics, health] = await freePorts(2);
  return text
    .replace(".:53 {", ".:0 {")
    .replace(":9153", `127.0.0.1:${metrics}`)
    .replace("health", `health 127.0.0.1:${health}`);
};

describe("X03 both Corefiles of the notes load unchanged", () => {
  it.each([
    ["lameduck", "reload health prometheus errors cache kubernetes loop forward", []],
    [
      "upstream-proxy",
      "reload health prometheus errors cache kubernetes proxy",
      ["upstream of kubernetes", "proxy is"],
    ],
    ["hosts", "hosts", []],
  ])("%s", async (name, plugins, warnings) => {
    const lines: string[] = [];
    const [block, ...more] = parseCorefile("Corefile", await fixture(`${name}.Corefile`));
    const log = createLogger("dns", { write: (line) => void lines.push(line) });
    const instance = { metrics: new Metrics() } as unknown as Instance; // the rest is for plugins that run
    const deps = { log, defaultPort: 53, directory: "/", environment: {}, instance, now: () => 0 };
    const [site] = await configure([block as ServerBlock, ...more], deps);
    expect([site?.zones, site?.port]).toEqual([["."], 53]);
    expect(block?.directives.map((directive) => directive.name).sort()).toEqual(plugins.split(" ").sort());
    expect(site?.plugins).toHaveLength(plugins.split(" ").length);
    expect(lines).toHaveLength(warnings.length);
    for (const warning of warnings) expect(lines.join("")).toContain(`${warning}`);
  });
});

describe("X03 the notes' Corefiles at work (part: every option works or warns)", () => {
  it("errors, health with lameduck, kubernetes with ttl, prometheus, forward, cache, loop, reload", async () => {
    const { ask, server, lines } = await start(await onFreePorts(await fixture("lameduck.Corefile")));
    await eventually(() => server.notReady().length === 0);
    expect(await ask("kubernetes.default.svc.cluster.local A")).toEqual([
      "NOERROR",
      "kubernetes.default.svc.cluster.local. 30 IN A 10.96.0.1",
    ]);
    expect(await ask("10-244-2-5.default.pod.cluster.local A")).toEqual([
      "NOERROR",
      "10-244-2-5.default.pod.cluster.local. 30 IN A 10.244.2.5",
    ]);
    expect(await ask("1.0.96.10.in-addr.arpa PTR")).toEqual([
      "NOERROR",
      "1.0.96.10.in-addr.arpa. 30 IN PTR kubernetes.default.svc.cluster.local.",
    ]);
    expect(lines.join("")).not.toContain("deprecated");
  });

  it("upstream of kubernetes and proxy warn, with file and line", async () => {
    const { ask, server, lines } = await start(await onFreePorts(await fixture("upstream-proxy.Corefile")));
    await eventually(() => server.notReady().length === 0);
    expect(await ask("wear-service.app-space.svc.cluster.local A")).toHaveLength(2);
    expect(lines.join("")).toContain("Corefile:6: upstream of kubernetes is deprecated and has no effect");
    expect(lines.join("")).toContain("Corefile:10: proxy is deprecated and acts as forward");
  });
});
