import { describe, expect, it } from "vitest";
import { parseCidr, parseIp } from "#base/ip.ts";
import { Transaction } from "#kernel/nft/index.ts";
import { type Frontend, serviceFrontends } from "../../model/index.ts";
import { service, slice } from "../../testing/objects.ts";
import { FamilyTable } from "./familyTable.ts";
import { serviceLayout } from "./layout.ts";
import { planFrontend } from "./plan.ts";

const node = { name: "node01", addresses: [parseIp("192.168.1.11"), parseIp("fd00:192::11")] };
const cidrs = [parseCidr("10.244.0.0/16"), parseCidr("fd00:244::/48")];
const settings = { nodeName: "node01", localTraffic: { kind: "cidrs", cidrs } } as const;

/** The text of a first load of these frontends. */
function textOf(family: "ip" | "ip6", frontends: readonly Frontend[]): string {
  const table = new FamilyTable(serviceLayout(family, settings));
  for (const frontend of frontends) table.setFrontend("shop/web", planFrontend(table.layout, frontend));
  table.adopt(undefined);
  const transaction = new Transaction();
  table.plan(transaction);
  return transaction.toString();
}

describe("V04 Services as nft text (part: nftables)", () => {
  it.each(["ip", "ip6"] as const)("every kind of frontend, family %s", async (family) => {
    const at = (v4: string, v6: string) => (family === "ip" ? v4 : v6);
    const near = [at("10.244.1.2", "fd00:244:1::2"), at("10.244.1.3", "fd00:244:1::3")];
    const far = { address: at("10.244.2.2", "fd00:244:2::2"), nodeName: "node02" };
    const vip = (n: number) => at(`10.96.0.${n}`, `fd00:96::${n}`);
    const port = (n: number) => [{ name: "http", port: 80, nodePort: 30000 + n }];
    const of =
      (...args: Parameters<typeof service>) =>
      (endpoints: Parameters<typeof slice>[1]) =>
        serviceFrontends(service(...args), endpoints.length ? [slice(args[0], endpoints)] : [], node).filter(
          ({ ip }) => ip.family === (family === "ip" ? 4 : 6),
        );
    const frontends = [
      ...of("plain", { clusterIP: vip(1) })(near),
      ...of("open", { clusterIP: vip(2), type: "NodePort", ports: port(2) })([...near, far]),
      ...of("local", { clusterIP: vip(3), type: "NodePort", ports: port(3), externalTrafficPolicy: "Local" })([
        far,
        ...near,
      ]),
      ...of("nowhere", { clusterIP: vip(4), type: "NodePort", ports: port(4), externalTrafficPolicy: "Local" })([far]),
      ...of("inner", { clusterIP: vip(5), internalTrafficPolicy: "Local" })([far]),
      ...of("sticky", { clusterIP: vip(6), sessionAffinity: "ClientIP" })(near),
      ...of("empty", { clusterIP: vip(7) })([]),
    ];
    await expect(textOf(family, frontends)).toMatchFileSnapshot(`testing/services-${family}.nft`);
  });

  it("local endpoints that are not among all (they terminate) stand before them in the list", () => {
    const going = { address: "10.244.1.2", conditions: { ready: false, serving: true, terminating: true } };
    const local = service("web", {
      clusterIP: "10.96.0.1",
      type: "NodePort",
      ports: [{ name: "http", port: 80, nodePort: 30080 }],
      externalTrafficPolicy: "Local",
    });
    const frontends = serviceFrontends(
      local,
      [slice("web", [going, { address: "10.244.2.2", nodeName: "node02" }])],
      node,
    );
    const text = textOf(
      "ip",
      frontends.filter(({ kind }) => kind === "NodePort"),
    );
    expect(text).toContain("goto external-local-1-of-1-from-1");
    expect(text).toContain("numgen random mod 1 offset 1 map @endpoints");
    expect(text).toContain("30080 . 0 : 10.244.1.2 . 8080");
    expect(text).toContain("30080 . 1 : 10.244.2.2 . 8080");
  });

  it("an endpoint keeps its affinity number whatever else the Service has", () => {
    const web = service("web", { clusterIP: "10.96.0.1", sessionAffinity: "ClientIP" });
    const layout = serviceLayout("ip", settings);
    const ids = (addresses: string[]) => {
      const [frontend] = serviceFrontends(web, [slice("web", addresses)], node);
      if (!frontend) throw new Error("no frontend");
      const plan = planFrontend(layout, frontend);
      return new Map(
        plan.elements
          .filter(([set]) => set === "affinity-endpoints")
          .map(([, { key, data }]) => [String(data), String(key)]),
      );
    };
    const two = ids(["10.244.1.2", "10.244.1.3"]);
    const three = ids(["10.244.1.1", "10.244.1.2", "10.244.1.3"]);
    for (const [endpoint, key] of two) expect(three.get(endpoint)).toBe(key);
    expect(new Set(three.values()).size).toBe(3);
  });
});
