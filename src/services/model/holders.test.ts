import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatIp, parseIp } from "#base/ip.ts";
import { service } from "../testing/objects.ts";
import type { Frontend } from "./frontend.ts";
import { serviceFrontends } from "./frontends.ts";
import { Holders } from "./holders.ts";

const node = { name: "node01", addresses: [] };

/** Frontends of a Service at these addresses. */
function at(name: string, ...externalIPs: string[]): Frontend[] {
  return serviceFrontends(service(name, { clusterIP: "10.96.0.1", externalIPs }), [], node).slice(1);
}

const texts = (frontends: readonly Frontend[]) => frontends.map(({ ip, label }) => `${formatIp(ip)} ${label}`);

describe("V02 two Services with one external address (part: who has it)", () => {
  it("the name that sorts first has it; the other when it goes", () => {
    const holders = new Holders();
    holders.set("shop/two", at("two", "203.0.113.7", "203.0.113.8"));
    const won = holders.set("shop/one", at("one", "203.0.113.7"));
    expect(won.holdings.map(({ service: name, frontends }) => [name, texts(frontends)])).toEqual([
      ["shop/two", ["203.0.113.8 shop/two:http"]],
      ["shop/one", ["203.0.113.7 shop/one:http"]],
    ]);
    expect([...won.changes.values()].map(({ before, after }) => [before?.label, after?.label])).toEqual([
      ["shop/two:http", "shop/one:http"],
    ]);
    const left = holders.set("shop/one", []);
    expect(left.holdings.map(({ service: name, frontends }) => [name, texts(frontends)])).toEqual([
      ["shop/one", []],
      ["shop/two", ["203.0.113.7 shop/two:http", "203.0.113.8 shop/two:http"]],
    ]);
  });

  it("of one Service's two frontends with one address, the first counts", () => {
    const holders = new Holders();
    holders.set("shop/one", [...at("one", "203.0.113.7"), ...at("other", "203.0.113.7")]);
    expect(texts(holders.held("shop/one"))).toEqual(["203.0.113.7 shop/one:http"]);
  });

  it("no address is two Services' at any step, and the outcome does not depend on the order", () => {
    const wish = fc.record({
      owner: fc.constantFrom("a", "b", "c"),
      addresses: fc.uniqueArray(fc.integer({ min: 1, max: 4 }), { maxLength: 4 }),
    });
    fc.assert(
      fc.property(fc.array(wish, { maxLength: 12 }), (wishes) => {
        const holders = new Holders();
        const told = new Map<string, readonly string[]>();
        for (const { owner, addresses } of wishes) {
          const { holdings } = holders.set(owner, at(owner, ...addresses.map((n) => `203.0.113.${n}`)));
          for (const { service: name, frontends } of holdings) {
            told.set(
              name,
              frontends.map(({ ip }) => formatIp(ip)),
            );
            const all = [...told.values()].flat();
            expect(new Set(all).size).toBe(all.length);
          }
        }
        const last = new Map(wishes.map(({ owner, addresses }) => [owner, addresses]));
        for (const n of [1, 2, 3, 4]) {
          const wanting = [...last].filter(([, addresses]) => addresses.includes(n)).map(([owner]) => owner);
          const holding = [...told].filter(([, held]) => held.includes(`203.0.113.${n}`)).map(([owner]) => owner);
          expect(holding).toEqual(wanting.toSorted().slice(0, 1));
        }
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  it("one address is another frontend for another port or protocol", () => {
    const ports = [
      { name: "a", port: 53, protocol: "TCP" as const },
      { name: "b", port: 53, protocol: "UDP" as const },
      { name: "c", port: 54, protocol: "UDP" as const },
    ];
    const holders = new Holders();
    holders.set("shop/dns", serviceFrontends(service("dns", { clusterIP: "10.96.0.10", ports }), [], node));
    expect(holders.held("shop/dns").map(({ label }) => label)).toEqual(["shop/dns:a", "shop/dns:b", "shop/dns:c"]);
    expect(parseIp("10.96.0.10")).toEqual(holders.held("shop/dns")[0]?.ip);
  });
});
