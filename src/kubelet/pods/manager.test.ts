import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Change, Client, type Informer, type Pod } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { createLogger } from "#base/log.ts";
import type { RunningContainer } from "../runtime/index.ts";
import { staticPod } from "../static/index.ts";
import { testPod } from "../testing.ts";
import type { PodDeps } from "./deps.ts";
import { PodManager } from "./manager.ts";
import { PodRecords } from "./record.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pw-manager-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A node's agent that was restarted: what runs there, and an API that answers when the test says so. */
function restarted(recorded: readonly Pod[]) {
  const records = new PodRecords(join(folder, "records"));
  const startTime = "2026-01-01T00:00:00Z";
  const run = { restartCount: 0, image: "nginx", imageId: "nginx@sha256:1", logPath: "/log", startedAt: startTime };
  for (const pod of recorded) {
    const sandbox = { id: `s-${pod.metadata.uid}`, netns: "/netns", ips: ["10.244.1.2"] };
    records.save({ pod, startTime, sandbox, containers: { web: { ...run, id: `c-${pod.metadata.uid}` } } });
  }
  const seen: string[] = [];
  const ready = new Map<string, boolean | undefined>();
  const adopt = ({ id }: { id: string }) => {
    seen.push(`followed ${id}`);
    const exit = Promise.withResolvers<{ exitCode: number }>();
    const kill = () => {
      seen.push(`ended ${id}`);
      exit.resolve({ exitCode: 137 });
    };
    return { handle: { id }, exit: exit.promise, kill, outputs: { onOutput: () => {} } } as unknown as RunningContainer;
  };
  const deps = {
    runtime: {
      running: async () => new Map(recorded.map(({ metadata }, i) => [2 ** 23 + i, `c-${metadata.uid}`])),
      end: async () => {},
      folders: async () => [],
      adopt,
      remove: async () => {},
      removeShared: async () => {},
    },
    defaultRuntime: "podwire",
    images: { pull: () => Promise.reject(new Error("none")), list: () => [] },
    network: {
      setUp: async (pod: Pod) => {
        seen.push(`network of ${pod.metadata.name}`);
        return ["10.244.1.3"];
      },
      tearDown: async () => {},
      isThere: () => true,
      pathOf: (id: string) => `/netns/${id}`,
    },
    servers: { settle: async () => {}, remove: async () => {} },
    events: { event: () => {} },
    records,
    log: createLogger("test", { write: () => {} }),
    node: { name: "node01", addresses: ["192.168.1.11"], allocatable: {} },
    dns: { clusterDns: [], clusterDomain: "cluster.local", nodeResolvConf: "" },
    logFolders: { pods: join(folder, "logs"), containers: join(folder, "links") },
    podsFolder: join(folder, "pods"),
    reportStatus: (pod: Pod, status: NonNullable<Pod["status"]>) =>
      ready.set(pod.metadata.name, status.containerStatuses?.[0]?.ready),
  } as unknown as PodDeps;
  const manager = new PodManager(deps, new Client(new FakeApi()), () => {});
  const synced = Promise.withResolvers<void>();
  let pods: readonly Pod[] = [];
  const onChange = (handler: (change: Change<Pod>) => void) => {
    for (const object of pods) handler({ type: "ADDED", object });
  };
  const started = manager.start({ synced: synced.promise, list: () => pods, onChange } as unknown as Informer<Pod>);
  const answer = async (present: readonly Pod[]) => {
    pods = present;
    synced.resolve();
    await started;
  };
  return { manager, seen, ready, answer };
}

const ofFile = (name: string) =>
  staticPod(`kind: Pod\nmetadata: {name: ${name}}\nspec: {containers: [{name: web, image: nginx}]}`, "node01") as Pod;

describe("an agent that was restarted while the API cannot be reached", () => {
  // A readiness probe that will not be tried before the test is over.
  const readinessProbe = { tcpSocket: { port: 1 }, initialDelaySeconds: 3600 };
  const probed: Partial<Pod["spec"]> = { containers: [{ name: "web", image: "nginx", readinessProbe }] };

  it("follows its containers, ends none, and starts static pods", async () => {
    const { manager, seen, ready, answer } = restarted([
      testPod(probed, { name: "stays", uid: "1" }),
      testPod({}, { name: "is-gone", uid: "2" }),
    ]);
    manager.setStatic([ofFile("own")]);
    await expect.poll(() => seen).toEqual(["followed c-1", "followed c-2", "network of own-node01"]);
    manager.retry();
    await expect.poll(() => [...ready.keys()]).toEqual(["own-node01"]);
    expect(manager.all().map(({ pod }) => pod.metadata.name)).toEqual(["stays", "is-gone", "own-node01"]);
    // What the API says of the pod's readiness counts, and not what the record has.
    const containerStatuses = [{ name: "web", ready: true, restartCount: 0, image: "nginx", imageID: "" }];
    await answer([testPod(probed, { name: "stays", uid: "1" }, { containerStatuses })]);
    await expect.poll(() => manager.find("shop", "is-gone")).toBeUndefined();
    await expect.poll(() => ready.get("stays")).toBe(true);
    expect(seen.slice(3)).toEqual(["ended c-2"]);
    await manager.stop();
  });

  it("knows by itself which static pods have gone", async () => {
    const [kept, gone] = [ofFile("kept"), ofFile("gone")];
    const { manager, seen } = restarted([kept, gone]);
    manager.setStatic([kept]);
    await expect.poll(() => manager.all().map(({ pod }) => pod.metadata.name)).toEqual(["kept-node01"]);
    expect(seen.filter((what) => what.startsWith("ended"))).toEqual([`ended c-${gone.metadata.uid}`]);
    await manager.stop();
  });
});
