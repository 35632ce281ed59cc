import { describe, expect, it } from "vitest";
import { parseCidr, parseIp } from "#base/ip.ts";
import { elementText, FakeNftables, operationText, Transaction } from "#kernel/nft/index.ts";
import { type Frontend, serviceFrontends } from "../../model/index.ts";
import { service, slice } from "../../testing/objects.ts";
import { nftablesBackend } from "./backend.ts";
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
  table.plan(transaction, new FakeNftables());
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
    const ids = (addresses: string[]) => {
      const frontends = serviceFrontends(web, [slice("web", addresses)], node);
      const pairs =
        textOf("ip", frontends)
          .match(/(?<=add element ip podwire-services affinity-endpoints \{ ).*(?= \})/)?.[0]
          .split(", ") ?? [];
      return new Map(
        pairs.map((pair) => {
          const [key = "", endpoint = ""] = pair.split(" : ");
          return [endpoint, key] as const;
        }),
      );
    };
    const two = ids(["10.244.1.2", "10.244.1.3"]);
    const three = ids(["10.244.1.1", "10.244.1.2", "10.244.1.3"]);
    for (const [endpoint, key] of two) expect(three.get(endpoint)).toBe(key);
    expect(new Set(three.values()).size).toBe(3);
  });

  it("who may not use a balancer's address is dropped before anything else; equal limits share a chain", () => {
    const limited = (name: string, n: number, loadBalancerSourceRanges: string[]) => ({
      ...service(name, { clusterIP: `10.96.0.${n}`, type: "LoadBalancer", loadBalancerSourceRanges }),
      status: { loadBalancer: { ingress: [{ ip: `203.0.113.${n}` }] } },
    });
    const ranges = ["10.0.0.0/8", "192.0.2.7/32"];
    const frontends = [
      ...serviceFrontends(limited("one", 1, ranges), [slice("one", ["10.244.1.2"])], node),
      ...serviceFrontends(limited("two", 2, ranges), [slice("two", ["10.244.1.3"])], node),
      ...serviceFrontends(limited("none", 3, ranges), [], node),
      ...serviceFrontends(limited("other", 4, ["10.0.0.0/8"]), [slice("other", ["10.244.1.3"])], node),
    ];
    const text = textOf("ip", frontends);
    const gates = text.match(/add chain ip podwire-services from-\S+/g)?.map((line) => line.split(" ").at(-1) ?? "");
    expect(gates?.map((name) => name.replace(/^from-\w+-/, ""))).toEqual(["external-1", "refuse", "external-1"]);
    const rules = text.split("\n").filter((line) => line.startsWith(`add rule ip podwire-services ${gates?.[0]} `));
    expect(rules.map((line) => line.split(" ").slice(5).join(" "))).toEqual([
      "ip saddr 10.0.0.0/8 goto external-1",
      "ip saddr 192.0.2.7 goto external-1",
      'drop comment "not in loadBalancerSourceRanges"',
    ]);
    expect(text).toContain(`203.0.113.2 . tcp . 80 comment "shop/two:http" : goto ${gates?.[0]}`);
    expect(text).toContain(`203.0.113.3 . tcp . 80 comment "shop/none:http" : goto ${gates?.[1]}`);
  });

  /** A backend in memory with one Service, whose endpoints `put` changes. @returns the text of each commit */
  const running = async (nft = new FakeNftables()) => {
    const backend = nftablesBackend({ ...settings, nft });
    await backend.readBack();
    const put = async (...endpoints: Parameters<typeof slice>[1]) => {
      const slices = endpoints.length ? [slice("web", endpoints)] : [];
      backend.setService("shop/web", serviceFrontends(service("web", { clusterIP: "10.96.0.1" }), slices, node));
      const before = nft.committed.length;
      await backend.commit();
      return nft.committed.slice(before).join("").trim().split("\n");
    };
    return { nft, backend, put };
  };
  const away = (...addresses: string[]) => addresses.map((address) => ({ address, nodeName: "node02" }));

  it("one endpoint in place of another is one element, wherever it sorts", async () => {
    const { put } = await running();
    await put(...away("10.244.2.2", "10.244.2.3", "10.244.2.4"));
    expect(await put(...away("10.244.2.1", "10.244.2.2", "10.244.2.4"))).toEqual([
      "delete element ip podwire-services endpoints { 10.96.0.1 . tcp . 80 . 1 }",
      "add element ip podwire-services endpoints { 10.96.0.1 . tcp . 80 . 1 : 10.244.2.1 . 8080 }",
    ]);
  });

  it("another process keeps the numbers that it finds", async () => {
    const { nft, put } = await running();
    await put(...away("10.244.2.2", "10.244.2.3"));
    await put(...away("10.244.2.1", "10.244.2.3"));
    const second = await running(nft);
    expect(await second.put(...away("10.244.2.1", "10.244.2.3"))).toEqual([""]);
    const key = Uint8Array.of(10, 96, 0, 1, 6, 0, 0, 0, 0, 80, 0, 0, 0, 0, 0, 0);
    expect(nft.origins.element("ip", "podwire-services", "endpoints", key)?.name).toBe("web");
    await second.backend.close();
    expect(nft.origins.element("ip", "podwire-services", "endpoints", key)).toBeUndefined();
  });

  it("puts right single elements that somebody else removed, added or changed", async () => {
    const { nft, backend, put } = await running();
    await put(...away("10.244.2.2", "10.244.2.3", "10.244.2.4"));
    const { layout } = new FamilyTable(serviceLayout("ip", settings));
    const held = async () => (await nft.readTable(layout.table))?.elements.get("endpoints") ?? [];
    const text = async () => (await held()).map((element) => elementText(layout.sets.endpoints, element)).sort();
    const before = await text();
    const [first, second, third] = await held();
    if (!first || !second || !third) throw new Error("three elements are missing");
    const far = Uint8Array.from(first.key).fill(9, -4);
    await nft.commit(
      new Transaction()
        .deleteElements(layout.sets.endpoints, [second])
        .replaceElements(layout.sets.endpoints, [{ ...third, data: first.data ?? new Uint8Array() }])
        .addElements(layout.sets.endpoints, [{ ...first, key: far }]),
    );
    expect(await text()).not.toEqual(before);
    await backend.readBack();
    await backend.commit();
    expect(await text()).toEqual(before);
  });

  it("only a pod that may be here can reach itself; by policy Local, any pod", async () => {
    const { nft, put } = await running();
    const hairpins = () => nft.committed.join("").match(/(?<=add element ip podwire-services hairpin \{ ).*(?= \})/g);
    await put(...away("10.244.2.2"));
    expect(hairpins()).toBeNull();
    await put("10.244.1.2", { address: "10.244.3.2", nodeName: undefined as unknown as string });
    expect(hairpins()).toEqual(["10.244.1.2 . 10.244.1.2, 10.244.3.2 . 10.244.3.2"]);
    const spec = { clusterIP: "10.96.0.1", externalIPs: ["203.0.113.7"], externalTrafficPolicy: "Local" } as const;
    const frontends = serviceFrontends(service("web", spec), [slice("web", away("10.244.2.2"))], node);
    expect(textOf("ip", frontends)).toContain("hairpin { 10.244.2.2 . 10.244.2.2 }");
  });

  it("an address whose endpoints change places changes with its entry, in one piece; others in many", async () => {
    const spec = { clusterIP: "10.96.0.1", externalIPs: ["203.0.113.7"], externalTrafficPolicy: "Local" } as const;
    const nft = new FakeNftables();
    const backend = nftablesBackend({ ...settings, nft });
    const far = (address: string) => ({ address, nodeName: "node02" });
    const put = async (...endpoints: Parameters<typeof slice>[1]) => {
      backend.setService("shop/web", serviceFrontends(service("web", spec), [slice("web", endpoints)], node));
      await backend.commit();
    };
    await backend.readBack();
    await put("10.244.1.2", "10.244.1.3", far("10.244.2.2"));
    await put("10.244.1.3", far("10.244.2.2"), far("10.244.2.3"));
    const change = nft.committed[1] as Transaction;
    const groupOf = (text: string) =>
      change.operations.flatMap((operation, i) => (operationText(operation).includes(text) ? [change.groups[i]] : []));
    const group = groupOf("203.0.113.7 . tcp . 80 comment");
    expect(group).toHaveLength(1);
    expect(new Set(groupOf("203.0.113.7 . tcp . 80 . "))).toEqual(new Set(group));
  });
});
