import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { inNetns } from "#kernel/namespaces/index.ts";
import { type Nftables, type TableState, Transaction } from "#kernel/nft/index.ts";
import { SERVICES_TABLE } from "#services/index.ts";
import { service, slice } from "#services/testing/objects.ts";
import { remakeTable } from "../support/serviceFlips.ts";
import { ask, ServicesLab } from "./servicesLab.ts";

const tables = [
  { family: "ip", name: SERVICES_TABLE },
  { family: "ip6", name: SERVICES_TABLE },
] as const;

/** Numbers from a seed (mulberry32), so that a failure can be repeated. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/**
 * Sixty Services of both families, with one to five endpoints, some with affinity, NodePort or traffic policy.
 * @param hasStickyV6 whether IPv6 Services have affinity as well
 */
function putMany(lab: ServicesLab, hasStickyV6 = true): void {
  for (let n = 0; n < 60; n++) {
    const v6 = n % 3 === 0;
    const name = `svc-${n}`;
    const addresses = Array.from({ length: (n % 5) + 1 }, (_, i) =>
      v6 ? `fd00:10:244:${n}::${i + 2}` : `10.244.${n}.${i + 2}`,
    );
    const object = service(
      name,
      {
        clusterIP: v6 ? `fd00:10:96::${(n + 1).toString(16)}` : `10.96.0.${n + 1}`,
        type: n % 2 ? "NodePort" : "ClusterIP",
        ports: [{ name: "http", port: 80, ...(n % 2 && { nodePort: 30000 + n }) }],
        ...(n % 7 === 0 && (hasStickyV6 || !v6) && { sessionAffinity: "ClientIP" }),
        ...(n % 5 === 1 && { externalTrafficPolicy: "Local" }),
      },
      { "podwire.dev/source": `examples/many.yaml:${n * 10}` },
    );
    lab.put(
      object,
      slice(
        name,
        addresses.map((address) => ({ address, nodeName: n % 4 ? "node01" : "node02" })),
      ),
    );
  }
}

/** A table's state with its elements by key: the kernel lists them in another order once it has made a set larger. */
function sorted(state: TableState): TableState {
  const text = (key: Uint8Array) => Buffer.from(key).toString("hex");
  const elements = [...state.elements].map(
    ([set, list]) => [set, list.toSorted((a, b) => (text(a.key) < text(b.key) ? -1 : 1))] as const,
  );
  return { ...state, elements: new Map(elements) };
}

describe("services in the kernel (part: origins, restart, leftovers)", () => {
  let lab: ServicesLab;
  beforeEach(async () => {
    lab = await ServicesLab.start();
  });
  afterEach(() => lab.close());

  const states = async (nft: Nftables): Promise<TableState[]> => {
    const found = await Promise.all(tables.map((table) => nft.readTable(table)));
    return found.filter((state) => state !== undefined).map(sorted);
  };

  it("gives the object of each of 50 random handles and elements", async () => {
    putMany(lab);
    const { origins } = await lab.startProxy();
    const found = await states(lab.nft);
    const rules = found.flatMap(({ rules }) => [...rules.values()].flat());
    const elements = found.flatMap(({ table, elements }) =>
      [...elements].flatMap(([set, list]) => list.map((element) => ({ table, set, element }))),
    );
    const seed = 20260101;
    const pick = random(seed);
    for (let i = 0; i < 25; i++) {
      const rule = rules[pick(rules.length)];
      const { table, name } = rule?.chain ?? {};
      const origin = origins?.rule(table?.family ?? "ip", SERVICES_TABLE, name ?? "", rule?.handle ?? 0n);
      expect(origin, `seed ${seed}, rule ${name} ${rule?.handle}`).toEqual({
        kind: "ServiceProxy",
        name: "node01",
        field: name,
      });
    }
    for (let i = 0; i < 25; i++) {
      const { table, set, element } = elements[pick(elements.length)] ?? {};
      if (!table || !set || !element) throw new Error("no elements");
      const origin = origins?.element(table.family, SERVICES_TABLE, set, element.key);
      expect(origin?.namespace, `seed ${seed}, ${set}`).toBe("shop");
      expect(origin?.name).toMatch(/^svc-\d+/);
      if (set === "services" || set === "endpoints") {
        expect(origin?.field).toBe("spec.ports[0]");
        expect(origin?.source).toBe(`examples/many.yaml:${Number(origin?.name.slice(4)) * 10}`);
      }
    }
  });

  it("a restarted agent changes no rule, no handle and no element, and knows the origins", async () => {
    putMany(lab);
    const first = await lab.startProxy();
    const before = await states(lab.nft);
    await first.stop();
    const nft = lab.openNft();
    const second = await lab.startProxy(lab.nftables(nft));
    await second.settled();
    expect(await states(nft)).toEqual(before);
    const rule = before[0]?.rules.get("services")?.[0];
    expect(second.origins?.rule("ip", SERVICES_TABLE, "services", rule?.handle ?? 0n)?.kind).toBe("ServiceProxy");
    const element = before[0]?.elements.get("services")?.[0];
    expect(second.origins?.element("ip", SERVICES_TABLE, "services", element?.key ?? new Uint8Array())?.kind).toBe(
      "Service",
    );
  });

  it("a restarted agent changes what changed meanwhile, and sweeps what is not wanted", async () => {
    putMany(lab);
    const first = await lab.startProxy();
    const before = await states(lab.nft);
    await first.stop();
    const table = tables[0];
    await lab.nft.commit(
      new Transaction()
        .addChain({ table, name: "stranger" })
        .addRule({ chain: { table, name: "refuse" }, statements: [{ kind: "counter" }] }),
    );
    await lab.delete(service("svc-1", {}));
    const nft = lab.openNft();
    await lab.startProxy(lab.nftables(nft));
    const [after] = await states(nft);
    expect(after?.chains.map(({ name }) => name)).not.toContain("stranger");
    expect(after?.rules.get("refuse")).toHaveLength(2);
    expect(after?.rules.get("services")).toEqual(before[0]?.rules.get("services"));
    const comments = after?.elements.get("services")?.map(({ comment }) => comment);
    expect(comments).not.toContain("shop/svc-1:http");
    expect(comments).toContain("shop/svc-2:http");
  });

  it("replaces a table of another make", async () => {
    const table = tables[0];
    await lab.nft.commit(
      new Transaction()
        .addTable(table)
        .addChain({ table, name: "services", hook: { type: "filter", hook: "forward", priority: 0, policy: "drop" } }),
    );
    await lab.serveTcp(lab.pod2, "10.244.1.3", 8080, "pod2");
    lab.put(service("web", { clusterIP: "10.96.0.1" }), slice("web", ["10.244.1.3"]));
    await lab.startProxy();
    expect(await ask(lab.outside, "10.96.0.1", 80)).toBe("pod2 10.244.1.1");
  });

  it("established connections go on while the table of another version is replaced, as after a crash in between", async () => {
    await lab.serveEcho(lab.pod2, "10.244.1.3", 8080);
    lab.put(service("web", { clusterIP: "10.96.0.1" }), slice("web", ["10.244.1.3"]));
    const first = await lab.startProxy();
    const echo = await lab.connect(lab.outside, "10.96.0.1", 80);
    expect(await echo("one")).toBe("one");
    await first.stop();
    remakeTable(lab);
    // What a process left that was killed while it did this.
    await lab.nft.commit(new Transaction().addTable({ family: "ip", name: `${SERVICES_TABLE}-stand-in` }));
    expect(await echo("two")).toBe("two");
    await lab.startProxy(lab.nftables(lab.openNft()));
    expect(await echo("three")).toBe("three");
    const another = await lab.connect(lab.outside, "10.96.0.1", 80);
    expect(await another("four")).toBe("four");
    const names = (await lab.nft.listTables()).map(({ family, name }) => `${family} ${name}`);
    expect(names.sort()).toEqual([`ip ${SERVICES_TABLE}`, `ip6 ${SERVICES_TABLE}`]);
  });

  it("notices what somebody else removed, and puts it right", async () => {
    await lab.serveTcp(lab.pod2, "10.244.1.3", 8080, "pod2");
    lab.put(service("web", { clusterIP: "10.96.0.1" }), slice("web", ["10.244.1.3"]));
    putMany(lab);
    const proxy = await lab.startProxy();
    const before = await states(lab.nft);
    const other = lab.openNft();
    await other.commit(new Transaction().deleteTable(tables[0]));
    await expect.poll(async () => (await states(lab.nft)).length, { timeout: 10_000 }).toBe(2);
    await proxy.settled();
    expect(await ask(lab.outside, "10.96.0.1", 80)).toBe("pod2 10.244.1.1");
    const elements = (all: TableState[]) => all.flatMap((state) => [...state.elements.values()].flat()).length;
    expect(elements(await states(lab.nft))).toBe(elements(before));
  });

  it("puts right what somebody else removed, when a change fails on it before it was noticed", async () => {
    await lab.serveTcp(lab.pod2, "10.244.1.3", 8080, "pod2");
    lab.put(service("web", { clusterIP: "10.96.0.1" }), slice("web", ["10.244.1.2", "10.244.1.4"]));
    await lab.startProxy();
    await lab.openNft().commit(new Transaction().deleteTable(tables[0]));
    lab.put(slice("web", ["10.244.1.3"]));
    await expect.poll(() => ask(lab.outside, "10.96.0.1", 80, 700)).toBe("pod2 10.244.1.1");
  });

  it("cleans up: nothing of it is left, and what is another's stays", async () => {
    putMany(lab);
    const backend = lab.nftables();
    const proxy = await lab.startProxy(backend);
    await lab.openNft().commit(new Transaction().addTable({ family: "ip", name: "other" }));
    await proxy.stop();
    await backend.cleanup();
    expect((await lab.nft.listTables()).map(({ name }) => name)).toEqual(["other"]);
    await backend.cleanup();
  });

  // Affinity of IPv6 is left out: `nft -f` of nft 1.0.6 aborts on rules that store elements with IPv6 keys, which it
  // lists well (netlink_linearize.c, `dreg < ctx->reg_low`).
  it("is listed by nft, and read back from that listing, but for affinity of IPv6 Services (nft 1.0.6)", async () => {
    putMany(lab, false);
    await lab.startProxy();
    listAndLoad("nft");
  });

  const newer = process.env["PODWIRE_TEST_NFT"];
  const absent = { skip: true, meta: { skipReason: "no newer nft is named (PODWIRE_TEST_NFT)" } };
  it("is listed and read back by a newer nft, all of it", newer === undefined ? absent : {}, async () => {
    putMany(lab);
    await lab.startProxy();
    listAndLoad(newer as string);
  });

  function listAndLoad(nft: string): void {
    const run = (args: string, input?: string) =>
      inNetns(lab.node, () => execFileSync(nft, args.split(" "), { encoding: "utf8", ...(input && { input }) }));
    const listing = run("list ruleset");
    expect(listing).toContain('10.96.0.2 . tcp . 80 comment "shop/svc-1:http" : goto cluster-2');
    expect(listing).toContain('fd00:10:96::4 . tcp . 80 comment "shop/svc-3:http" : goto cluster-4');
    expect(listing).toContain("fd00:10:96::7 . tcp . 80 . 1 : fd00:10:244:6::3 . 8080");
    run("flush ruleset");
    run("-f -", listing);
    expect(run("list ruleset")).toBe(listing);
  }
});
