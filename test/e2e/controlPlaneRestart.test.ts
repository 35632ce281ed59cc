import { get as httpGet } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  Client,
  type ConfigMap,
  http2Transport,
  Informer,
  loadKubeconfig,
  type Pod,
  resources,
  type Transport,
} from "#api/index.ts";
import { createLogger } from "#base/log.ts";
import { TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/firstLight.ts";
import { makeStaging, type Staging } from "../support/staging.ts";

const SIGKILL = 9;
const KILLS = process.env["PODWIRE_LONG"] === "1" ? 10 : 3;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Status of an answer, or the error's code. */
function statusOf(url: string): Promise<number | string> {
  return new Promise((resolve) => {
    const request = httpGet(url, { agent: false, timeout: 5000 }, (response) => {
      response.resume().on("end", () => resolve(response.statusCode ?? 0));
    });
    request.on("timeout", () => request.destroy(new Error("no answer")));
    request.on("error", (error) => resolve(error.message));
  });
}

describe("a killed control plane", () => {
  let staging: Staging;
  let cluster: TestCluster;
  let transport: Transport;
  let client: Client;
  let restarts = 0;

  beforeAll(async () => {
    staging = makeStaging();
    cluster = new TestCluster({ staging });
    await cluster.ready();
    await cluster.podsReady();
    transport = http2Transport(await loadKubeconfig((await cluster.status()).kubeconfig));
    client = new Client(transport);
  }, 120_000);
  afterAll(async () => {
    await transport?.close();
    await cluster.stop();
    staging.remove();
  });

  async function kill(): Promise<void> {
    restarts++;
    await cluster.signal("kube-apiserver", SIGKILL);
  }

  async function restarted(): Promise<void> {
    await eventually(async () => {
      const { processes, state, reasons } = await cluster.status();
      expect(processes[0]).toMatchObject({ name: "kube-apiserver", state: "running", restarts });
      expect({ state, reasons }).toEqual({ state: "ready", reasons: [] });
    }, 60_000);
  }

  /** Creates ConfigMaps until told to stop. @param written those that the server acknowledged */
  async function writeUntil(stop: AbortSignal, prefix: string, written: ConfigMap[]): Promise<void> {
    for (let i = 0; !stop.aborted; i++) {
      const metadata = { name: `${prefix}-${i}`, namespace: "default" };
      const object: ConfigMap = { apiVersion: "v1", kind: "ConfigMap", metadata, data: { i: String(i) } };
      try {
        written.push(await client.create(resources.configMaps, object));
      } catch {
        // Not acknowledged: it may be there or not.
        await sleep(5);
      }
    }
  }

  it(`has every acknowledged write with its version, which never goes back (${KILLS} kills)`, {
    timeout: 30_000 + KILLS * 40_000,
  }, async () => {
    const abort = new AbortController();
    const seen = new Map<string, string>();
    const versions: number[] = [];
    const log = createLogger("test", { write: () => undefined });
    const informer = new Informer(
      client,
      resources.configMaps,
      { namespace: "default" },
      { log, signal: abort.signal },
    );
    informer.onChange(({ type, object }) => {
      seen.set(object.metadata.name ?? "", type);
      versions.push(Number(object.metadata.resourceVersion));
    });
    informer.start();
    await informer.synced;
    for (let i = 0; i < KILLS; i++) {
      const stop = new AbortController();
      const written: ConfigMap[] = [];
      const writes = writeUntil(stop.signal, `kill-${i}`, written);
      // At another moment of the writing each time.
      await expect.poll(() => written.length, { interval: 1 }).toBeGreaterThan(5 + 20 * i);
      await kill();
      await sleep(50);
      stop.abort();
      await writes;
      // The listener outlives the process: a client that comes now waits, it is not refused.
      expect(await cluster.ok("get", "nodes", "-o", "name")).toBe("node/controlplane\nnode/node01\nnode/node02\n");
      const { items, resourceVersion } = await client.list(resources.configMaps, { namespace: "default" });
      const there = new Map(items.map(({ metadata, data }) => [metadata.name, { metadata, data }]));
      for (const { metadata, data } of written) expect(there.get(metadata.name)).toEqual({ metadata, data });
      const newest = Math.max(...written.map((o) => Number(o.metadata.resourceVersion)), 0);
      expect(Number(resourceVersion)).toBeGreaterThanOrEqual(newest);
      const marker = await client.create(resources.configMaps, {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: `after-${i}`, namespace: "default" },
      });
      expect(Number(marker.metadata.resourceVersion)).toBeGreaterThan(Number(resourceVersion));
      // The same watch, opened before the first kill, tells of it.
      await eventually(async () => expect(seen.get(`after-${i}`)).toBe("ADDED"));
      for (const object of written) expect(seen.get(object.metadata.name ?? "")).toBe("ADDED");
      await restarted();
    }
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
    abort.abort();
    await informer.ended();
  });

  it("U02 V02 Services and pods go on meanwhile (part: killed control plane)", async () => {
    // The pods that show the killed process itself restart with it, a little later.
    const shows = (pod: Pod) => pod.metadata.annotations?.["podwire.dev/process"] === "kube-apiserver";
    const podsOf = async () =>
      (JSON.parse(await cluster.ok("get", "pods", "-A", "-o", "json")) as { items: Pod[] }).items
        .filter((pod) => !shows(pod))
        .map(({ metadata, status }) => [metadata.uid, status?.containerStatuses]);
    const before = await podsOf();
    const { urls, nodes } = await cluster.status();
    const targets = [`${urls.ingress}/wear`, `http://${nodes[1]?.hostAddress}:30080/watch`];
    for (const url of targets) await eventually(async () => expect(await statusOf(url)).toBe(200));
    const stop = new AbortController();
    const answers = targets.map((): (number | string)[] => []);
    const asking = Promise.all(
      targets.map(async (url, i) => {
        while (!stop.signal.aborted) {
          answers[i]?.push(await statusOf(url));
          await sleep(5);
        }
      }),
    );
    /** Resolves when every target has answered some times more. */
    const more = (): Promise<void> => {
      const before = answers.map((all) => all.length);
      return expect.poll(() => answers.every((all, i) => all.length > (before[i] ?? 0) + 10)).toBe(true);
    };
    await more();
    await kill();
    await restarted();
    await more();
    stop.abort();
    await asking;
    for (const all of answers) expect(all.filter((status) => status !== 200)).toEqual([]);
    expect(await podsOf()).toEqual(before);
  });

  it("V03 X01 controllers, kubelets, proxies and DNS follow the server that came back (part: killed control plane)", async () => {
    await cluster.ok("scale", "deployment", "-n", "app-space", "wear", "--replicas=4");
    await kill();
    await cluster.ok("create", "deployment", "late", "--image=podwire/echo", "--replicas=2", "--port=8080");
    await cluster.ok("expose", "deployment", "late", "--port=80", "--target-port=8080");
    await cluster.ok("rollout", "status", "deployment/late", "--timeout=60s");
    await cluster.ok("rollout", "status", "-n", "app-space", "deployment/wear", "--timeout=60s");
    await cluster.toolbox("box", "node01");
    await eventually(async () =>
      expect((await cluster.inPod("box", "curl -s -m 2 -o /dev/null -w '%{http_code}' http://late")).stdout).toBe(
        "200",
      ),
    );
    const services = (await cluster.ok("get", "services", "-A", "-o", "jsonpath={.items[*].spec.clusterIP}")).split(
      " ",
    );
    expect(new Set(services).size).toBe(services.length);
    expect((await cluster.inPod("box", "exit 4")).code).toBe(4);
    await restarted();
  });
});
