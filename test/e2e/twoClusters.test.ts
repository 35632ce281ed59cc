import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Client, http2Transport, loadKubeconfig, resources } from "#api/index.ts";
import { resolveConfig } from "#lab/config/index.ts";
import { Cluster } from "#lab/parent/index.ts";
import { TestCluster } from "../support/cluster.ts";
import { eventually, get } from "../support/firstLight.ts";
import { descendants } from "../support/host.ts";
import { installation } from "../support/installation.ts";
import { makeStaging, type Staging } from "../support/staging.ts";

/** What lies in a state directory but the images, which are the user's. */
const clustersIn = (directory: string): string[] =>
  readdirSync(join(directory, "podwire")).filter((name) => name !== "_images");

describe("two clusters in one process", () => {
  const directory = mkdtempSync(join(tmpdir(), "pw-two-"));
  const stateHome = process.env["XDG_STATE_HOME"];
  const clusters: Cluster[] = [];

  beforeAll(async () => {
    process.env["XDG_STATE_HOME"] = directory;
    for (const name of ["one", "two"])
      clusters.push(
        new Cluster({ config: resolveConfig({ name }), installation: installation(), startedAt: performance.now() }),
      );
    await Promise.all(clusters.map((cluster) => cluster.start()));
  }, 120_000);
  afterAll(async () => {
    await Promise.all(clusters.map((cluster) => cluster.stop()));
    if (stateHome === undefined) delete process.env["XDG_STATE_HOME"];
    else process.env["XDG_STATE_HOME"] = stateHome;
    rmSync(directory, { recursive: true, force: true });
  });

  /** Calls a function with a client of a cluster. */
  async function withClient<T>(cluster: Cluster, use: (client: Client) => Promise<T>): Promise<T> {
    const transport = http2Transport(await loadKubeconfig(cluster.status().kubeconfig));
    try {
      return await use(new Client(transport));
    } finally {
      await transport.close();
    }
  }
  const wear = async (cluster: Cluster): Promise<string> => (await get(`${cluster.status().urls.ingress}/wear`)).body;

  it("both serve their shop, at addresses of their own", async () => {
    const [one, two] = clusters.map((cluster) => cluster.status());
    expect([one?.state, two?.state]).toEqual(["ready", "ready"]);
    expect(one?.urls.api).not.toBe(two?.urls.api);
    expect(one?.urls.ingress).not.toBe(two?.urls.ingress);
    for (const cluster of clusters)
      await eventually(async () => expect(await wear(cluster)).toBe("Welcome to the wear store\n"));
  });

  it("an object of one is not in the other, its kubeconfig opens no other", async () => {
    const [one, two] = clusters as [Cluster, Cluster];
    const metadata = { name: "only-here", namespace: "default" };
    await withClient(one, (client) => client.create(resources.configMaps, { metadata }));
    const names = await withClient(two, async (client) =>
      (await client.list(resources.configMaps, { namespace: "default" })).items.map((item) => item.metadata.name),
    );
    expect(names).not.toContain("only-here");
    const foreign = { ...(await loadKubeconfig(one.status().kubeconfig)), server: two.status().urls.api };
    const transport = http2Transport(foreign);
    await expect(new Client(transport).list(resources.nodes)).rejects.toThrow();
    await transport.close();
  });

  it("one goes, the other goes on", async () => {
    const [one, two] = clusters as [Cluster, Cluster];
    const { urls, nodes } = one.status();
    await one.stop();
    await expect(get(urls.ingress ?? "")).rejects.toThrow("ECONNREFUSED");
    await expect(get(`http://${nodes[0]?.hostAddress}:30080/wear`)).rejects.toThrow("ECONNREFUSED");
    expect(two.status()).toMatchObject({ state: "ready", reasons: [] });
    expect(await wear(two)).toBe("Welcome to the wear store\n");
    expect(clustersIn(directory)).toEqual(["two"]);
  });

  it("nothing runs on after both were stopped", async () => {
    await clusters[1]?.stop();
    expect(descendants(process.pid).slice(1)).toEqual([]);
    expect(clustersIn(directory)).toEqual([]);
  });
});

describe("two `podwire up`", () => {
  let staging: Staging;
  let first: TestCluster;
  let second: TestCluster | undefined;
  beforeAll(async () => {
    staging = makeStaging();
    first = new TestCluster({ staging, flags: ["--name", "first", "--example", "none", "--ingress", "none"] });
    await first.ready();
  });
  afterAll(async () => {
    await second?.stop();
    await first.stop();
    staging.remove();
  });

  it("with different names run side by side", async () => {
    const flags = ["--name", "second", "--example", "none", "--ingress", "none"];
    second = new TestCluster({ staging, flags, env: { XDG_STATE_HOME: first.directory } });
    await second.ready();
    const statuses = await Promise.all(
      ["first", "second"].map(async (name) =>
        JSON.parse((await first.podwire("status", "--json", "--name", name)).stdout),
      ),
    );
    expect(statuses.map(({ name, state }) => ({ name, state }))).toEqual([
      { name: "first", state: "ready" },
      { name: "second", state: "ready" },
    ]);
    expect((await first.podwire("down", "--name", "second")).code).toBe(0);
    await second.stop();
    expect(JSON.parse((await first.podwire("status", "--json", "--name", "first")).stdout)).toMatchObject({
      state: "ready",
    });
  });

  it("of the same name: the second is refused, naming it", async () => {
    const { code, stderr } = await first.podwire("up", "--name", "first");
    expect(code).toBe(1);
    expect(stderr).toContain('cluster "first" is already running');
    expect(JSON.parse((await first.podwire("status", "--json", "--name", "first")).stdout)).toMatchObject({
      state: "ready",
    });
  });

  it("asking for a port that is taken: refused, naming port and flag", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    const { code, stderr } = await first.podwire("up", "--name", "third", "--ingress-port", String(port));
    taken.close();
    expect(code).toBe(1);
    expect(stderr).toContain(`--ingress-port ${port}: 127.0.0.1:${port} cannot be used: another program listens there`);
  });
});
