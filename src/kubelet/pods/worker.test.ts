import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Pod } from "#api/index.ts";
import { createLogger } from "#base/log.ts";
import { ImageServer, ImageStore, Puller, Pulls, SOCKET_NAME } from "#images/index.ts";
import { buildImage } from "#test/support/images/build.ts";
import { plainKeeper } from "#test/support/images/keeper.ts";
import { ClusterImages, type ImageSource, TemplateImages } from "../images/index.ts";
import { testPod } from "../testing.ts";
import type { PodDeps, PodNetwork } from "./deps.ts";
import { FirstReports } from "./firstReports.ts";
import { PodRecords } from "./record.ts";
import { PodWorker } from "./worker.ts";

let folder: string;
let ends: (() => unknown)[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pw-worker-"));
  ends = [];
});
afterEach(async () => {
  for (const end of ends.toReversed()) await end();
  rmSync(folder, { recursive: true });
});

/** A network that is made at once, unless told otherwise. */
const network: PodNetwork = {
  setUp: () => Promise.resolve(["10.244.1.2"]),
  tearDown: () => Promise.resolve(),
  isThere: () => true,
  pathOf: (id) => `/run/netns/${id}`,
};

/** A pod's worker on a node where nothing can be started: these pods end before. */
function work(pod: Pod, parts: { network?: PodNetwork; images?: ImageSource }) {
  const events: string[] = [];
  const statuses: NonNullable<Pod["status"]>[] = [];
  const gone = Promise.withResolvers<void>();
  const deps = {
    runtime: { remove: async () => {}, removeShared: async () => {} },
    defaultRuntime: "podwire",
    images: parts.images ?? { pull: () => Promise.reject(new Error("no image is wanted")), list: () => [] },
    network: parts.network ?? network,
    servers: {},
    objects: { configMap: async () => undefined },
    events: {
      event: (_: unknown, type: string, reason: string, text: string) => events.push(`${type} ${reason} ${text}`),
    },
    records: new PodRecords(join(folder, "records")),
    log: createLogger("test", { write: () => {} }),
    node: { name: "node01", addresses: ["192.168.1.11"], allocatable: {} },
    dns: { clusterDns: [], clusterDomain: "cluster.local", nodeResolvConf: "" },
    logFolders: { pods: join(folder, "logs"), containers: join(folder, "links") },
    podsFolder: join(folder, "pods"),
    reportStatus: (_: Pod, status: NonNullable<Pod["status"]>) => statuses.push(status),
  } as unknown as PodDeps;
  const worker = new PodWorker(pod, deps, { onGone: () => gone.resolve(), firstReports: new FirstReports() });
  ends.push(() => worker.detach());
  worker.changed();
  return { worker, events, statuses, gone: gone.promise };
}

const absentVolume: Partial<Pod["spec"]> = { volumes: [{ name: "v", configMap: { name: "absent" } }] };

describe("a pod whose volume fails while its network is being made", () => {
  /** A network whose set-ups end when the test says so. */
  function slowNetwork() {
    const calls: string[] = [];
    const made: (() => void)[] = [];
    const setUp: PodNetwork["setUp"] = async (_, sandbox, again) => {
      calls.push(again ? "set up again" : "set up");
      await new Promise<void>((resolve) => made.push(resolve));
      calls.push("is set up");
      return ["10.244.1.2"];
    };
    const tearDown: PodNetwork["tearDown"] = async () => void calls.push("torn down");
    return { calls, made, network: { ...network, setUp, tearDown } };
  }

  it("has one set-up, whose end its own end waits for", async () => {
    const slow = slowNetwork();
    const { worker, gone } = work(testPod(absentVolume), { network: slow.network });
    await expect.poll(() => slow.calls).toEqual(["set up"]);
    worker.end(0);
    // Longer than a set-up is tried again after.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(slow.calls).toEqual(["set up"]);
    for (const end of slow.made) end();
    await gone;
    expect(slow.calls).toEqual(["set up", "is set up", "torn down"]);
    expect(readdirSync(join(folder, "records"))).toEqual([]);
  });

  it("is told of the volume, and keeps its network for the next attempt", async () => {
    const slow = slowNetwork();
    const { events } = work(testPod(absentVolume), { network: slow.network });
    await expect.poll(() => slow.made).toHaveLength(1);
    slow.made[0]?.();
    const told = 'Warning FailedMount MountVolume.SetUp failed for volume "v" : configmap "absent" not found';
    await expect.poll(() => events.filter((event) => event === told).length).toBeGreaterThan(1);
    expect(slow.calls).toEqual(["set up", "is set up"]);
  });
});

describe("a pod whose image never comes", () => {
  /** A node's images, from a registry that sends a layer's first byte and no other. */
  async function endlessImages() {
    const image = buildImage([{ files: [{ name: "f", content: "text" }] }]);
    const state = { asked: 0, left: 0 };
    const registry = createServer((request, response) => {
      const part = [image.manifest, image.config].find(({ digest }) => request.url?.endsWith(digest));
      const whole = request.url?.endsWith("/manifests/1") ? image.manifest : part;
      if (whole) return response.writeHead(200, { "content-type": whole.mediaType }).end(whole.bytes);
      state.asked++;
      response.once("close", () => state.left++);
      response.writeHead(200, { "content-length": image.layers[0]?.bytes.length ?? 0 });
      return response.write(image.layers[0]?.bytes.subarray(0, 1));
    });
    registry.listen(0, "127.0.0.1");
    await once(registry, "listening");
    const host = `127.0.0.1:${(registry.address() as AddressInfo).port}`;
    const store = ImageStore.open(join(folder, "store"));
    const uses = await store.use("test");
    const settings = { strict: true, mirrors: {}, insecure: [host], templates: {} };
    // Nobody loses patience with it.
    const puller = new Puller({ settings, http: { env: {}, connectMs: 3_600_000, idleMs: 3_600_000 } });
    const pulls = new Pulls({ store, keeper: plainKeeper(store), puller, settings, uses });
    const server = await ImageServer.listen(folder, pulls);
    ends.push(() => {
      server.close();
      puller.close();
      registry.closeAllConnections();
      registry.close();
      uses.end();
    });
    const templates = new TemplateImages({ programs: { folder: "/", command: () => [] }, manyUsers: true });
    const source = { socket: join(folder, SOCKET_NAME), layers: store.layout.layers };
    return { state, name: `${host}/slow:1`, images: new ClusterImages(source, templates, () => {}) };
  }
  const spec = (image: string) => ({ containers: [{ name: "c", image }] });

  it("is deleted, and the pull that nobody waits for ends", async () => {
    const { state, name, images } = await endlessImages();
    const one = work(testPod(spec(name)), { images });
    const other = work(testPod(spec(name), { name: "web-2", uid: "u-2" }), { images });
    await expect.poll(() => one.events.concat(other.events)).toHaveLength(2);
    await expect.poll(() => state.asked).toBe(1);
    one.worker.end(30);
    await one.gone;
    // The other one still waits.
    expect(state).toEqual({ asked: 1, left: 0 });
    other.worker.end(30);
    await other.gone;
    await expect.poll(() => state.left).toBe(1);
    const pulling = `Normal Pulling Pulling image "${name}"`;
    expect([one.events, other.events]).toEqual([[pulling], [pulling]]);
  });

  it("fails when its time is over", async () => {
    const { name, images } = await endlessImages();
    const { statuses } = work(testPod({ ...spec(name), activeDeadlineSeconds: 2 }), { images });
    await expect
      .poll(() => statuses.at(-1), { timeout: 20_000 })
      .toMatchObject({
        phase: "Failed",
        reason: "DeadlineExceeded",
        message: "Pod was active on the node longer than the specified deadline",
      });
  });

  it("is let go of when the agent stops", async () => {
    const { state, name, images } = await endlessImages();
    const { worker } = work(testPod(spec(name)), { images });
    await expect.poll(() => state.asked).toBe(1);
    await worker.detach();
    await expect.poll(() => state.left).toBe(1);
  });
});
