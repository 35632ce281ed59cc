import { describe, expect, it } from "vitest";
import { Client } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { parseIp } from "#base/ip.ts";
import { createLogger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import { FakeNftables, type Table, Transaction } from "#kernel/nft/index.ts";
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
