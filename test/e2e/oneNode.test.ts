import { describe, expect, it } from "vitest";
import { eventually, get } from "#test/support/firstLight.ts";
import { clusterSuite } from "#test/support/suite.ts";

const PODS = 5;

interface Placed {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly namespace: string };
    readonly spec: { readonly nodeName: string };
    readonly status: { readonly phase: string; readonly podIP: string };
  }[];
}

describe("up --nodes 1 --pods 5", () => {
  const suite = clusterSuite(["--nodes", "1", "--pods", String(PODS)]);

  it("has one node, ready, which takes the pods of the shop, the ingress and DNS", async () => {
    const nodes = (await suite.kubectl.ok("get nodes --no-headers")).trim().split("\n");
    expect(nodes).toEqual([expect.stringMatching(/^controlplane +Ready /)]);
    expect((await suite.cluster.status()).nodes.map(({ name }) => name)).toEqual(["controlplane"]);
    const all = async () => (await suite.kubectl.json<Placed>("get pods -A")).items;
    // The last pods of the load may still be starting, and modules show as pods a little later.
    await eventually(async () => {
      const elsewhere = ({ spec, status }: Placed["items"][number]) =>
        spec.nodeName !== "controlplane" || status.phase !== "Running";
      expect((await all()).filter(elsewhere)).toEqual([]);
    });
    const items = await all();
    expect(new Set(items.map(({ metadata }) => metadata.namespace))).toEqual(
      new Set(["default", "app-space", "ingress-space", "kube-system"]),
    );
  });

  it("starts five echo pods, each of which answers at its own address", async () => {
    const { items } = await suite.kubectl.json<Placed>("get pods -n default");
    expect(items).toHaveLength(PODS);
    expect(new Set(items.map(({ status }) => status.podIP)).size).toBe(PODS);
    for (const { metadata, status } of items) {
      const { stdout } = await suite.cluster.sh("controlplane", `curl -s -m 5 http://${status.podIP}:8080/`);
      expect(JSON.parse(stdout)).toMatchObject({ pod: metadata.name, node: "controlplane" });
    }
  });

  it("serves the shop through the ingress", async () => {
    const { urls } = await suite.cluster.status();
    for (const shop of ["wear", "watch"])
      await eventually(async () =>
        expect((await get(`${urls.ingress}/${shop}`)).body).toBe(`Welcome to the ${shop} store\n`),
      );
  });

  it("check says what it proved, and that there are no other nodes to test", async () => {
    const { code, stdout } = await suite.cluster.podwire("check", "pods");
    expect(stdout).toMatch(/^✓ every pod reaches every pod on its node \([1-9]\d* paths\)$/m);
    expect(stdout).toMatch(/^– every pod reaches every pod on other nodes \(nothing to test: 0 paths\)$/m);
    expect(stdout).not.toContain("✗");
    expect(code).toBe(0);
  });
});
