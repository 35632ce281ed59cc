import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Origin } from "#base/origin.ts";
import type { KernelThing } from "#explain/index.ts";
import { eventually } from "#test/support/firstLight.ts";
import { checkout } from "#test/support/installation.ts";
import { clusterSuite } from "#test/support/suite.ts";

const NODES = ["controlplane", "node01", "node02"] as const;
const PICKS = 50;

/** What the kernel itself says that it holds, in the words of `nft` and `ip`. */
interface Held {
  readonly node: string;
  readonly kind: KernelThing["kind"];
  readonly place: string;
  /** A rule's handle; else as in {@link KernelThing.text}. */
  readonly id: string;
}

type NftKey = string | number | { concat: (string | number)[] } | { elem: { val: NftKey } };
interface NftListing {
  readonly nftables: readonly {
    readonly rule?: { family: string; table: string; chain: string; handle: number };
    readonly set?: { family: string; table: string; name: string; elem?: NftKey[] };
    readonly map?: { family: string; table: string; name: string; elem?: [NftKey, unknown][] };
  }[];
}

function keyText(key: NftKey): string {
  if (typeof key !== "object") return String(key);
  return "elem" in key ? keyText(key.elem.val) : key.concat.join(" . ");
}

/** Numbers below a limit, the same ones for the same seed (mulberry32). */
function seeded(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  };
}

describe("K01 V01 V03 P06 every rule, element and route of a node carries its origin (part: on a running cluster)", () => {
  const suite = clusterSuite([]);
  const held: Held[] = [];
  const things = new Map<string, readonly KernelThing[]>();

  const onNode = async <T>(node: string, command: string): Promise<T> =>
    JSON.parse((await suite.cluster.sh(node, command)).stdout || "[]") as T;
  const originsOf = async (node: string) =>
    JSON.parse(await suite.kubectl.ok(`get --raw /api/v1/nodes/${node}/proxy/podwire/origins`)) as KernelThing[];
  const find = ({ node, kind, place, id }: Held): KernelThing | undefined =>
    things
      .get(node)
      ?.find((t) => t.kind === kind && t.place === place && (kind === "rule" ? String(t.handle) : t.text) === id);

  async function readKernel(node: string): Promise<Held[]> {
    const { nftables } = await onNode<NftListing>(node, "nft -j list ruleset");
    const rules = nftables.flatMap(({ rule: r }): Held[] =>
      r ? [{ node, kind: "rule", place: `${r.family} ${r.table} ${r.chain}`, id: String(r.handle) }] : [],
    );
    const elements = nftables.flatMap(({ set, map }): Held[] => {
      const one = set ?? map;
      if (!one) return [];
      const keys = [...(set?.elem ?? []), ...(map?.elem ?? []).map(([key]) => key)];
      return keys.map((key) => ({
        node,
        kind: "element",
        place: `${one.family} ${one.table} ${one.name}`,
        id: keyText(key),
      }));
    });
    const routes = (await onNode<{ dst: string; dev: string }[]>(node, "ip -j route")).map(
      ({ dst, dev }): Held => ({ node, kind: "route", place: dev, id: dst === "default" ? "0.0.0.0/0" : dst }),
    );
    const neighbours = (await onNode<{ dst: string }[]>(node, "ip -4 -j neigh show dev flannel.1 nud permanent")).map(
      ({ dst }): Held => ({ node, kind: "neighbour", place: "flannel.1", id: dst }),
    );
    const fdb = (await onNode<{ mac: string; dst?: string }[]>(node, "bridge -j fdb show dev flannel.1")).flatMap(
      ({ mac, dst }): Held[] => (dst ? [{ node, kind: "fdb", place: "flannel.1", id: mac }] : []),
    );
    return [...rules, ...elements, ...routes, ...neighbours, ...fdb];
  }

  beforeAll(async () => {
    for (const node of NODES) {
      // The two are read one after the other: they count when nothing changed in between.
      const kernel = await eventually(async () => {
        const before = await readKernel(node);
        things.set(node, await originsOf(node));
        expect(await readKernel(node)).toEqual(before);
        return before;
      });
      held.push(...kernel);
    }
  });

  /** Checks that the object is there and has to do with what was picked. */
  async function checkObject(origin: Origin, pick: Held): Promise<void> {
    const { kind, name, namespace = "default", source } = origin;
    if (["ServiceProxy", "Machine"].includes(kind)) return expect(name).toBe(pick.node);
    const object = await suite.kubectl.ok(`get ${kind.toLowerCase()} ${name} -n ${namespace} -o json`);
    const address = /\d+\.\d+\.\d+\.\d+/.exec(pick.id)?.[0];
    if (kind === "EndpointSlice") expect(object).toContain(`"${address}"`);
    if (kind === "Service" && !address?.startsWith("192.168.1.")) expect(object).toContain(`"${address}"`);
    if (kind === "Node" && pick.kind === "route" && pick.id.startsWith("10.244."))
      expect(object).toContain(`"podCIDR": "${pick.id}"`);
    if (source === undefined) return;
    const [file = "", line = ""] = source.split(":");
    const [, ...document] = readFileSync(join(checkout, file), "utf8")
      .split("\n")
      .slice(Number(line) - 2);
    const text = document.join("\n").split("\n---")[0];
    expect(text).toMatch(new RegExp(`^kind: ${kind}$`, "m"));
    expect(text).toMatch(new RegExp(`^ +name: ${name}$`, "m"));
  }

  it(`gives back the object of ${PICKS} things picked at random from the kernels`, { timeout: 60_000 }, async () => {
    const seed = Number(process.env["PODWIRE_SEED"] ?? Date.now() % 1_000_000);
    process.stdout.write(`origins: PODWIRE_SEED=${seed}, ${held.length} things in the kernels\n`);
    const random = seeded(seed);
    expect(held.length).toBeGreaterThan(PICKS);
    for (let i = 0; i < PICKS; i++) {
      const pick = held[random(held.length)] as Held;
      const { origin } = find(pick) ?? {};
      expect({ seed, pick, origin }).toMatchObject({ origin: { kind: expect.any(String), name: expect.any(String) } });
      await checkObject(origin as Origin, pick);
    }
  });

  it("leaves nothing out, of any kind", () => {
    expect(new Set(held.map(({ kind }) => kind))).toEqual(new Set(["rule", "element", "route", "neighbour", "fdb"]));
    expect(held.filter((one) => find(one)?.origin === undefined)).toEqual([]);
  });

  it("says the manifest's line where it is known", () => {
    const entry = things
      .get("node01")
      ?.find(({ place, text }) => place === "ip podwire-services services" && text.endsWith(". 8282"));
    expect(entry?.origin).toEqual({
      kind: "Service",
      namespace: "app-space",
      name: "wear-service",
      field: "spec.ports[0]",
      source: expect.stringMatching(/^examples\/online-store\/01-shop\.yaml:\d+$/),
    });
  });

  it("services explain names the endpoints that the node's rules have", async () => {
    const explain = ["services", "explain", "app-space/wear-service", "--node", "node01", "--json"];
    const { code, stdout } = await suite.cluster.podwire(...explain);
    expect(code).toBe(0);
    const { addresses } = JSON.parse(stdout) as {
      addresses: { address: string; origins: Origin[]; paths: { candidates: { address: string }[] }[] }[];
    };
    const [, ip = "", port = ""] = /^(.*):(\d+)\/TCP$/.exec(addresses[0]?.address ?? "") ?? [];
    const chains = await onNode<NftListing>("node01", "nft -j list map ip podwire-services endpoints");
    const elements = chains.nftables.flatMap(({ map }) => map?.elem ?? []);
    const inKernel = elements
      .filter(([key]) => keyText(key).startsWith(`${ip} . tcp . ${port} .`))
      .map(([, data]) => (data as { concat: (string | number)[] }).concat.join(":"));
    expect(inKernel).not.toEqual([]);
    const explained = addresses[0]?.paths[0]?.candidates.map(({ address }) => address);
    expect(explained?.sort()).toEqual(inKernel.sort());
    expect(addresses[0]?.origins.at(-1)?.source).toMatch(/^examples\/online-store\/01-shop\.yaml:\d+$/);
  });

  it("an agent that was killed knows them again", async () => {
    const before = (await originsOf("node01")).filter(({ kind }) => kind !== "route");
    await suite.cluster.sh("node01", "kill -9 $(pidof -s kubelet || pgrep -f '[/]usr/bin/kubelet')");
    await expect
      .poll(async () => (await suite.cluster.status()).processes.find(({ name }) => name === "kubelet/node01"), {
        timeout: 30_000,
      })
      .toMatchObject({ restarts: 1, state: "running" });
    await expect
      .poll(async () => (await originsOf("node01").catch(() => [])).filter(({ kind }) => kind !== "route"), {
        timeout: 30_000,
        interval: 200,
      })
      .toEqual(expect.arrayContaining(before));
  });

  it("what was made by hand has none", async () => {
    await suite.cluster.sh(
      "node02",
      "nft add table ip mine; nft add chain ip mine c; nft add rule ip mine c counter; ip route add 198.51.100.0/24 via 192.168.1.1",
    );
    const mine = (await originsOf("node02")).filter(
      ({ place, text }) => place === "ip mine c" || text === "198.51.100.0/24",
    );
    expect(mine.map(({ kind, origin }) => [kind, origin])).toEqual([
      ["rule", undefined],
      ["route", undefined],
    ]);
  });

  it("is not for everybody", async () => {
    expect((await suite.cluster.sh("node01", "curl -sk https://node02:10250/podwire/origins")).stdout).toBe(
      "Unauthorized\n",
    );
    const asPod = "get --raw /api/v1/nodes/node01/proxy/podwire/origins --as system:serviceaccount:default:default";
    expect(await suite.kubectl.fails(asPod)).toContain("Forbidden");
  });
});
