import { describe, expect, it } from "vitest";
import { Client, type Service } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { formatRecord } from "#wire/dns/index.ts";
import { fillApi } from "../../testing.ts";
import { service } from "../kubernetes/testCluster.ts";
import { refusal, shown, testBlock } from "../testBlock.ts";

const http = [{ name: "http", port: 80, protocol: "TCP" as const }];

function withIngress(of: Service, ingress: readonly { readonly ip?: string; readonly hostname?: string }[]): Service {
  return { ...of, status: { loadBalancer: { ingress } } };
}

async function cluster(options: string, fallback = "") {
  const api = new FakeApi();
  fillApi(api);
  const balanced = service("lb", { clusterIP: "10.96.5.5", ports: http });
  const ingress = [{ ip: "203.0.113.5" }, { ip: "2001:db8::5" }];
  api.put("/api/v1/services", withIngress(balanced, ingress));
  api.put("/api/v1/services", service("by-ip", { clusterIP: "10.96.5.6", ports: http, externalIPs: ["198.51.100.6"] }));
  const named = service("by-name", { clusterIP: "10.96.5.7", ports: http });
  api.put("/api/v1/services", withIngress(named, [{ hostname: "lb.cloud.test" }]));
  const block = await testBlock(
    `. {\n k8s_external example.org in-addr.arpa {\n${options} }\n kubernetes cluster.local\n${fallback}}`,
    async () => new Client(api),
  );
  const kubernetes = block.plugins.find(({ name }) => name === "kubernetes");
  await kubernetes?.start?.();
  await kubernetes?.settled?.();
  return { ...block, stop: () => kubernetes?.stop?.() };
}

const soa =
  /^ns example\.org\. 5 IN SOA ns1\.dns\.example\.org\. hostmaster\.dns\.example\.org\. \d+ 7200 1800 86400 5$/;

describe("k8s_external", () => {
  it("names for external addresses, of load balancers and of externalIPs", async () => {
    const { ask, stop } = await cluster("");
    const answers = async (question: string) => shown(await ask(question));
    expect(await answers("LB.default.example.org. A")).toEqual([
      "NOERROR",
      "LB.default.example.org. 5 IN A 203.0.113.5",
    ]);
    expect(await answers("lb.default.example.org. AAAA")).toEqual([
      "NOERROR",
      "lb.default.example.org. 5 IN AAAA 2001:db8::5",
    ]);
    expect(await answers("by-ip.default.example.org. A")).toEqual([
      "NOERROR",
      "by-ip.default.example.org. 5 IN A 198.51.100.6",
    ]);
    expect((await answers("by-name.default.example.org. A"))?.[1]).toBe(
      "by-name.default.example.org. 5 IN CNAME lb.cloud.test.",
    );
    const srv = await ask("_http._tcp.by-ip.default.example.org. SRV");
    expect([...(srv?.answers ?? []), ...(srv?.additionals ?? [])].map(formatRecord)).toEqual([
      "_http._tcp.by-ip.default.example.org. 5 IN SRV 0 100 80 by-ip.default.example.org.",
      "by-ip.default.example.org. 5 IN A 198.51.100.6",
    ]);
    expect(await answers("6.100.51.198.in-addr.arpa. PTR")).toEqual([
      "NOERROR",
      "6.100.51.198.in-addr.arpa. 5 IN PTR by-ip.default.example.org.",
    ]);
    await stop();
  });

  it("denials and the zone's own names", async () => {
    const { ask, stop } = await cluster("");
    const [rcode, authority] = shown(await ask("kubernetes.default.example.org. A")) as string[];
    expect([rcode, authority]).toEqual(["NXDOMAIN", expect.stringMatching(soa)]);
    expect(shown(await ask("lb.default.example.org. MX"))).toEqual(["NOERROR", expect.stringMatching(soa)]);
    expect(shown(await ask("default.example.org. A"))?.[0]).toBe("NOERROR");
    expect(shown(await ask("nowhere.example.org. A"))?.[0]).toBe("NXDOMAIN");
    expect(shown(await ask("a.b.c.lb.default.example.org. A"))?.[0]).toBe("NXDOMAIN");
    expect(shown(await ask("hdls.default.example.org. A"))?.[0]).toBe("NXDOMAIN");
    expect(shown(await ask("example.org. NS"))).toEqual(["NOERROR", "example.org. 5 IN NS ns1.dns.example.org."]);
    expect(shown(await ask("example.org. SOA"))?.[1]).toMatch(new RegExp(soa.source.replace("^ns ", "^")));
    expect(shown(await ask("dns.example.org. A"))).toEqual(["NOERROR", expect.stringMatching(soa)]);
    expect(shown(await ask("ns2.dns.example.org. A"))?.[0]).toBe("NXDOMAIN");
    await stop();
  });

  it("headless, ttl, apex, fallthrough", async () => {
    const { ask, stop } = await cluster("headless\n ttl 30\n apex top\n fallthrough\n", " whoami\n");
    expect(shown(await ask("hdls.default.example.org. A"))).toEqual([
      "NOERROR",
      "hdls.default.example.org. 30 IN A 10.244.1.1",
      "hdls.default.example.org. 30 IN A 10.244.2.2",
    ]);
    expect(shown(await ask("my-pet.hdls.default.example.org. A"))).toEqual([
      "NOERROR",
      "my-pet.hdls.default.example.org. 30 IN A 10.244.1.1",
    ]);
    expect(shown(await ask("example.org. NS"))?.[1]).toBe("example.org. 30 IN NS ns1.top.example.org.");
    expect((await ask("nowhere.example.org. A"))?.additionals[0]?.name).toBe("nowhere.example.org."); // whoami's
    await stop();
  });

  it("refuses what is out of range", async () => {
    expect(await refusal(". {\n k8s_external {\n  ttl 3601\n }\n}")).toContain("ttl must be in range [0, 3600]:");
    expect(await refusal(". {\n k8s_external {\n  bogus\n }\n}")).toContain("unknown property 'bogus' of k8s_external");
  });
});
