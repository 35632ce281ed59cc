import { describe, expect, it, vi } from "vitest";
import { Client } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { parseIp } from "#base/ip.ts";
import { createLogger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import { FakeNftables, ruleText, type Table, Transaction } from "#kernel/nft/index.ts";
import { SERVICES_TABLE } from "../backends/index.ts";
import { settleConfig } from "../config/index.ts";
import { prepareKubeProxy } from "./index.ts";

/** Lists tables when it is let. */
class SlowNftables extends FakeNftables {
  readonly asked = Promise.withResolvers<void>();
  readonly gate = Promise.withResolvers<void>();

  override async listTables(): Promise<Table[]> {
    this.asked.resolve();
    await this.gate.promise;
    return await super.listTables();
  }
}

describe("V04 detectLocalMode NodeCIDR (part: pod CIDRs that change)", () => {
  it("says so once, and goes by the new ones when it is started anew", async () => {
    const api = new FakeApi();
    const nodeOf = (podCIDR: string) => ({
      metadata: { name: "node01" },
      spec: { podCIDR, podCIDRs: [podCIDR] },
      status: { addresses: [{ type: "InternalIP", address: "192.168.1.11" }] },
    });
    api.put("/api/v1/nodes", nodeOf("10.244.1.0/24"));
    const nft = new FakeNftables();
    const lines: string[] = [];
    const outdated = vi.fn();
    const config = settleConfig({
      ...{ mode: "nftables", detectLocalMode: "NodeCIDR" },
      ...{ healthzBindAddress: "", metricsBindAddress: "" },
    });
    const deps = () => ({
      ...{ client: new Client(api), nft, metrics: new Metrics(), signal: new AbortController().signal },
      log: createLogger("kube-proxy", { write: (line) => void lines.push(line) }),
      ...{ fatal: () => {}, outdated },
    });
    const pods = async () => {
      const state = await nft.readTable({ family: "ip", name: SERVICES_TABLE });
      return (state?.rules.get("mark-off-cluster") ?? []).map(ruleText).join("; ");
    };
    const first = (await prepareKubeProxy(config, "node01", deps()))();
    await first.synced;
    expect(await pods()).toContain("ip saddr 10.244.1.0/24");
    api.put("/api/v1/nodes", nodeOf("10.244.7.0/24"));
    await expect.poll(() => outdated.mock.calls).toEqual([["PodCIDRs changed for the node"]]);
    expect(lines.join("")).toContain(
      '"PodCIDRs changed for the node" node="node01" newPodCIDRs=["10.244.7.0/24"] oldPodCIDRs=["10.244.1.0/24"]',
    );
    await first.stop();
    const second = (await prepareKubeProxy(config, "node01", deps()))();
    await second.synced;
    expect(await pods()).toContain("ip saddr 10.244.7.0/24");
    await second.stop();
    expect(outdated).toHaveBeenCalledTimes(1);
  });
});

describe("V04 a proxy that gives way to one of another mode (part: cleaning up)", () => {
  it("touches nothing before it is started; stopped while it looks for others' rules, it removes none of them", async () => {
    const nft = new SlowNftables();
    // As upstream's proxy leaves it, or as the next one makes it.
    await nft.commit(new Transaction().addTable({ family: "ip", name: "kube-proxy" }));
    const signal = new AbortController().signal;
    const start = await prepareKubeProxy(
      settleConfig({ mode: "nftables", healthzBindAddress: "", metricsBindAddress: "" }),
      "node01",
      {
        client: new Client(new FakeApi()),
        log: createLogger("kube-proxy", { write: () => {} }),
        metrics: new Metrics(),
        nft,
        signal,
        nodeAddresses: [parseIp("192.168.1.11")],
        fatal: () => {},
      },
    );
    expect(nft.committed).toHaveLength(1);
    const proxy = start();
    await nft.asked.promise;
    const stopping = proxy.stop().then(() => "stopped");
    // The look that is under way is waited for.
    const first = await Promise.race([stopping, new Promise((done) => setTimeout(done, 50, "waiting"))]);
    expect(first).toBe("waiting");
    nft.gate.resolve();
    await stopping;
    await expect(proxy.synced).rejects.toThrow("the service proxy is stopped");
    expect((await nft.listTables()).some(({ name }) => name === "kube-proxy")).toBe(true);
  });
});
