import { describe, expect, it, vi } from "vitest";
import type { FixedAnswer } from "../../core/index.ts";
import { ClusterIndex } from "./clusterIndex.ts";
import { ClusterRecords } from "./model.ts";
import { ClusterPublisher } from "./publisher.ts";
import { service } from "./testCluster.ts";

describe("X01 published answers of the cluster (part: Services that take more than one turn)", () => {
  it("a namespace denies no names while Services of it are not published", async () => {
    const index = new ClusterIndex();
    for (const name of ["one", "two"]) index.setService(service(name, { clusterIP: "10.96.0.9" }));
    const options = { primaryZone: "cluster.local.", ttl: 5, podMode: "disabled", endpointPodNames: false } as const;
    const records = new ClusterRecords(index, { ...options, ignoreEmptyService: false });
    const published = new Map<string, readonly FixedAnswer[]>();
    /** Whether the namespace denies other names, each time a turn ends. */
    const turns: { readonly services: number; readonly closed: boolean }[] = [];
    // Each look at the clock finds the turn's time over after one Service.
    let now = 0;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => (now += 40));
    const source = { synced: true, serial: 1, settled: async () => {} };
    const publisher = new ClusterPublisher(
      { zones: ["cluster.local."], index, records, source, fallsThrough: () => false },
      {
        put: (owner, answers) => {
          published.set(owner, answers);
          if (owner !== "namespace/default") return;
          const services = [...published.keys()].filter((key) => key.startsWith("service/")).length;
          turns.push({ services, closed: answers.some((answer) => answer.kind === "node" && answer.closed) });
        },
        keep: () => {},
        sinceUse: () => Number.POSITIVE_INFINITY,
      },
    );
    try {
      await vi.waitUntil(() => published.has("zone/cluster.local."));
    } finally {
      clock.mockRestore();
      publisher.stop();
    }
    expect(turns).toEqual([
      { services: 1, closed: false },
      { services: 2, closed: true },
    ]);
  });
});
