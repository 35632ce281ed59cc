import { afterEach, describe, expect, it } from "vitest";
import { Client } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { createLogger } from "#base/log.ts";
import { FakeConntrack } from "#kernel/conntrack/index.ts";
import { FakeNftables, ruleText } from "#kernel/nft/index.ts";
import { SERVICES_TABLE } from "#services/index.ts";
import { ProxyModule } from "./proxyModule.ts";

const table = { family: "ip", name: SERVICES_TABLE } as const;
const modules: ProxyModule[] = [];

afterEach(async () => {
  await Promise.all(modules.splice(0).map((one) => one.stop()));
});

function start() {
  const api = new FakeApi();
  const nft = new FakeNftables();
  const lines: string[] = [];
  const setPodCidr = (podCIDR: string) =>
    api.put("/api/v1/nodes", {
      metadata: { name: "node01" },
      spec: { podCIDRs: [podCIDR] },
      status: { addresses: [{ type: "InternalIP", address: "192.168.1.11" }] },
    } as never);
  const setConfig = (text: string) =>
    api.put("/api/v1/configmaps", {
      metadata: { namespace: "kube-system", name: "kube-proxy" },
      data: { "config.conf": text },
    } as never);
  setPodCidr("10.244.1.0/24");
  const module = new ProxyModule({
    nodeName: "node01",
    nodeAddresses: ["192.168.1.11"],
    defaults: { mode: "nftables", detectLocalMode: "NodeCIDR", healthzBindAddress: "", metricsBindAddress: "" },
    client: new Client(api),
    nft,
    conntrack: new FakeConntrack(),
    log: createLogger("kube-proxy", { write: (line) => void lines.push(line) }),
  });
  modules.push(module);
  /** The rule that tells this node's pods from others. */
  const localRule = async () => {
    const state = await nft.readTable(table);
    return (state?.rules.get("mark-off-cluster") ?? []).map(ruleText).join("; ");
  };
  return { api, nft, lines, module, setPodCidr, setConfig, localRule };
}

describe("V04 detectLocalMode NodeCIDR in a node's agent (part: pod CIDRs that change)", () => {
  it("another proxy takes the place of the former one", async () => {
    const { localRule, setPodCidr, module } = start();
    await expect.poll(localRule).toContain("ip saddr 10.244.1.0/24");
    setPodCidr("10.244.7.0/24");
    await expect.poll(localRule).toContain("ip saddr 10.244.7.0/24");
    await expect.poll(() => module.status()).toEqual({ ready: true });
  });

  it("while there can be no other one, the former one goes on", async () => {
    const { api, lines, nft, localRule, setPodCidr, setConfig, module } = start();
    await expect.poll(localRule).toContain("ip saddr 10.244.1.0/24");
    setConfig("kind: KubeProxyConfiguration\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nmode: magic\n");
    const failures = () => lines.filter((line) => line.includes("The configuration has no effect")).length;
    await expect.poll(failures).toBe(1);
    setPodCidr("10.244.7.0/24");
    await expect.poll(failures).toBe(2);
    expect(module.status()).toMatchObject({ ready: false, error: expect.stringContaining("magic") });
    api.put("/api/v1/services", {
      metadata: { namespace: "shop", name: "web" },
      spec: { type: "ClusterIP", clusterIP: "10.96.0.1", ports: [{ port: 80, protocol: "TCP" }] },
    } as never);
    await expect.poll(async () => (await nft.readTable(table))?.elements.get("services")).toHaveLength(1);
  });
});
