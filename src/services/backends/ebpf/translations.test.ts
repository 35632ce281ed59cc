import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseIp } from "#base/ip.ts";
import { service, slice } from "#services/testing/objects.ts";
import { serviceFrontends } from "../../model/index.ts";
import { addressRecord, endpointKey, listOf, SERVICE } from "./records.ts";
import { stepsOf, Translations, takesUdpAway, type WantedMap } from "./translations.ts";

const node = { name: "node01", addresses: [parseIp("192.168.1.11")] };
const vip = (n: number) => `10.96.0.${n}`;
const pod = (n: number) => `10.244.1.${n}`;

function frontends(name: string, n: number, pods: readonly number[], externalIPs: readonly string[] = []) {
  const made = service(name, { clusterIP: vip(n), externalIPs: [...externalIPs], sessionAffinity: "ClientIP" });
  return serviceFrontends(made, [slice(name, pods.map(pod))], node);
}

/** Maps as the kernel has them: changed a record at a time. */
class World {
  readonly maps: Record<WantedMap, Map<string, string>> = {
    services: new Map(),
    endpoints: new Map(),
    members: new Map(),
  };

  /** @param seen is called after each record */
  perform(translations: Translations, seen: () => void = () => {}): number {
    let records = 0;
    for (const { map, set, remove } of stepsOf(translations.pending())) {
      for (const [key, value] of set) {
        this.maps[map].set(key, value);
        records++;
        seen();
      }
      for (const key of remove) {
        // The kernel says ENOENT to what is not there.
        if (!this.maps[map].delete(key)) throw new Error("it is not there");
        records++;
        seen();
      }
    }
    translations.applied();
    return records;
  }

  /** Endpoints of an address, in order; undefined where one of its places is empty. */
  endpointsOf(address: string): (string | undefined)[] | undefined {
    const record = this.maps.services.get(address);
    if (record === undefined) return undefined;
    const count = Buffer.from(record, "latin1").readUInt32LE(SERVICE.count);
    return Array.from({ length: count }, (_, index) => this.maps.endpoints.get(endpointKey(listOf(record), index)));
  }
}

const address = (n: number) => addressRecord(parseIp(vip(n)), 80, 6);
const endpoint = (n: number) => addressRecord(parseIp(pod(n)), 8080, 6);

describe("V04 sockets that are connected to what is gone (part: which, of UDP)", () => {
  const made = service("dns", { clusterIP: vip(1), ports: [{ name: "dns", port: 53, protocol: "UDP" }] });
  const dns = (...pods: Parameters<typeof slice>[1]) =>
    serviceFrontends(made, [slice("dns", pods, [{ name: "dns", port: 53, protocol: "UDP" }])], node);
  const [to, one, two] = [
    addressRecord(parseIp(vip(1)), 53, 17),
    addressRecord(parseIp(pod(1)), 53, 17),
    addressRecord(parseIp(pod(2)), 53, 17),
  ];
  const change = (translations: Translations, ...pods: Parameters<typeof slice>[1]) => {
    translations.set("shop/dns", dns(...pods));
    const takes = takesUdpAway(translations.pending());
    translations.applied();
    return { takes, served: [one, two].map((endpoint) => translations.serves(to, endpoint)) };
  };

  it("those of endpoints that serve no more; one that only gets no new flows keeps its sockets", () => {
    const translations = new Translations({ pods: true });
    const going = { address: pod(1), conditions: { ready: false, serving: true, terminating: true } };
    expect(change(translations, pod(1))).toEqual({ takes: false, served: [true, false] });
    expect(change(translations, pod(1), pod(2))).toEqual({ takes: false, served: [true, true] });
    expect(change(translations, going, pod(2))).toEqual({ takes: false, served: [true, true] });
    expect(change(translations, pod(2))).toEqual({ takes: true, served: [false, true] });
    expect(change(translations)).toEqual({ takes: true, served: [false, false] });
  });

  it("nobody looks at sockets when endpoints of TCP go", () => {
    const translations = new Translations({ pods: true });
    for (const pods of [[2, 3], [2]]) {
      translations.set("shop/s1", frontends("s1", 1, pods));
      expect(takesUdpAway(translations.pending())).toBe(false);
      translations.applied();
    }
  });
});

describe("V04 the maps of sockets' programs", () => {
  it("hold what is wanted by whatever way, and at every instant every address has endpoints, old or new", () => {
    const lists = fc.uniqueArray(fc.integer({ min: 2, max: 9 }), { maxLength: 5 });
    const step = fc.record({ service: fc.integer({ min: 1, max: 3 }), pods: lists, isRestart: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const world = new World();
        let translations = new Translations({ pods: true });
        const wanted = new Map<number, readonly number[]>();
        for (const { service: n, pods, isRestart } of steps) {
          const before = new Map(wanted);
          wanted.set(n, pods);
          if (isRestart) {
            translations = new Translations({ pods: true });
            for (const [other, list] of wanted) translations.set(`shop/s${other}`, frontends(`s${other}`, other, list));
            translations.adopt(world.maps);
          } else translations.set(`shop/s${n}`, frontends(`s${n}`, n, pods));
          world.perform(translations, () => {
            for (const [other, list] of wanted) {
              const allowed = new Set([...list, ...(before.get(other) ?? [])].map(endpoint));
              const had = before.get(other)?.length ?? 0;
              const found = world.endpointsOf(address(other));
              if (had > 0 && list.length > 0) expect(found?.length).toBeGreaterThan(0);
              for (const one of found ?? []) expect(allowed).toContain(one);
            }
          });
          for (const [other, list] of wanted)
            expect(world.endpointsOf(address(other))?.sort() ?? []).toEqual(list.map(endpoint).sort());
        }
        const total = [...wanted.values()].reduce((sum, list) => sum + list.length, 0);
        expect([world.maps.endpoints.size, world.maps.members.size]).toEqual([total, total]);
      }),
      { seed: 5 },
    );
  });

  it("one endpoint of many is few records, whatever the number of addresses", () => {
    const world = new World();
    const translations = new Translations({ pods: true });
    const pods = Array.from({ length: 100 }, (_, n) => n + 2);
    const external = ["203.0.113.1", "203.0.113.2"];
    translations.set("shop/web", frontends("web", 1, pods, external));
    // 100 endpoints and members, three addresses of one list.
    expect(world.perform(translations)).toBe(203);
    translations.set("shop/web", frontends("web", 1, [...pods.slice(0, 50), 200, ...pods.slice(51)], external));
    // Another endpoint at its place; a member comes and one goes.
    expect(world.perform(translations)).toBe(3);
    translations.set("shop/web", frontends("web", 1, pods.slice(1), external));
    // The last one at the place of the first; three addresses have another number; endpoint and members go.
    expect(world.perform(translations)).toBeLessThan(10);
  });

  it("a restarted process goes on with the numbers and the order that are there, and takes away what is not wanted", () => {
    const world = new World();
    const first = new Translations({ pods: true });
    first.set("shop/web", frontends("web", 1, [2, 3, 4]));
    first.set("shop/gone", frontends("gone", 2, [5]));
    world.perform(first);
    const second = new Translations({ pods: true });
    second.set("shop/web", frontends("web", 1, [4, 3, 2]));
    second.adopt(world.maps);
    // Only the Service that is gone: its address, endpoint and member.
    expect(world.perform(second)).toBe(3);
    expect(world.endpointsOf(address(2))).toBeUndefined();
    // A new one gets a number that none had.
    second.set("shop/new", frontends("new", 3, [6]));
    world.perform(second);
    expect(world.endpointsOf(address(3))).toEqual([endpoint(6)]);
    expect(world.endpointsOf(address(1))?.sort()).toEqual([2, 3, 4].map(endpoint).sort());
  });

  it("an address goes from one Service to another in one record", () => {
    const world = new World();
    const translations = new Translations({ pods: true });
    translations.set("shop/a", frontends("a", 1, [2], ["203.0.113.1"]));
    translations.set("shop/b", frontends("b", 2, [3]));
    world.perform(translations);
    const shared = addressRecord(parseIp("203.0.113.1"), 80, 6);
    translations.set("shop/b", frontends("b", 2, [3], ["203.0.113.1"]));
    translations.set("shop/a", frontends("a", 1, [2]));
    expect(world.perform(translations, () => expect(world.endpointsOf(shared)).toHaveLength(1))).toBe(1);
    expect(world.endpointsOf(shared)).toEqual([endpoint(3)]);
  });

  it("what is too much for the maps is left to the rules, and comes when there is room", () => {
    const world = new World();
    const translations = new Translations({ pods: true }, { services: 10, endpoints: 5 });
    const half = [2, 3, 4];
    const many = (name: string, n: number) => frontends(name, n, half);
    translations.set("shop/a", many("a", 1));
    translations.set("shop/b", many("b", 2));
    world.perform(translations);
    expect(translations.left).toEqual(["shop/b"]);
    expect(world.endpointsOf(address(2))).toBeUndefined();
    translations.set("shop/a", []);
    world.perform(translations);
    expect(translations.left).toEqual([]);
    expect(world.endpointsOf(address(2))).toHaveLength(half.length);
  });
});
