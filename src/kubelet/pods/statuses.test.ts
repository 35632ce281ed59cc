import { afterEach, describe, expect, it } from "vitest";
import { Client, type Pod, type PodStatus, resources } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { createLogger } from "#base/log.ts";
import { PodStatuses } from "./statuses.ts";

const api = () => {
  const fake = new FakeApi();
  const client = new Client(fake);
  const statuses = new PodStatuses(client, createLogger("test", { write: () => {} }));
  open.push(statuses);
  const get = () => client.get<Pod>(resources.pods, "p", "default");
  const writes = () => fake.requests.filter((request) => request.startsWith("PATCH")).length;
  return { client, statuses, get, writes };
};
const open: PodStatuses[] = [];
afterEach(async () => {
  for (const statuses of open.splice(0)) await statuses.stop();
});
const withReady = (status: "True" | "False"): PodStatus => ({
  phase: "Running",
  conditions: [{ type: "Ready", status, lastTransitionTime: "2026-01-01T00:00:00Z" }],
});
const readyOf = (pod: Pod) => pod.status?.conditions?.[0]?.status;

describe("K01 pod status (part: what is written)", () => {
  it("writes nothing twice, whatever comes back", async () => {
    const { client, statuses, get, writes } = api();
    await client.create(resources.pods, { metadata: { name: "p", namespace: "default" }, spec: { containers: [] } });
    statuses.report(await get(), withReady("True"));
    await statuses.flush();
    statuses.report(await get(), withReady("True"));
    await statuses.flush();
    expect([readyOf(await get()), writes()]).toEqual(["True", 1]);
  });

  it("contradicts whoever took the node for lost, but not what it has not seen itself yet", async () => {
    const { client, statuses, get, writes } = api();
    await client.create(resources.pods, { metadata: { name: "p", namespace: "default" }, spec: { containers: [] } });
    const old = await get();
    statuses.report(old, withReady("True"));
    await statuses.flush();
    // The watch is behind: it still shows the pod as it was before.
    statuses.report(old, withReady("True"));
    await statuses.flush();
    expect(writes()).toBe(1);
    const lost = { status: withReady("False") };
    await client.patch(resources.pods, "p", "default", lost, { type: "merge", subresource: "status" });
    statuses.report(await get(), withReady("True"));
    await statuses.flush();
    expect([readyOf(await get()), writes()]).toEqual(["True", 3]);
  });
});
