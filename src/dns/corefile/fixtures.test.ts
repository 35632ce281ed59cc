import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { eventually, freePort, testServers } from "../testing.ts";

const { start } = testServers();
const fixture = (name: string) => readFile(new URL(`./fixtures/${name}`, import.meta.url), "utf8");
/** The notes' Corefiles on ports that tests may use; everything else unchanged. */
const onFreePorts = async (text: string) =>
  text
    .replace(".:53 {", ".:0 {")
    .replace(":9153", `127.0.0.1:${await freePort()}`)
    .replace("health", `health 127.0.0.1:${await freePort()}`);

describe("X03 both Corefiles of the notes load unchanged (part: every option works or warns)", () => {
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
