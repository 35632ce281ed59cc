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

  it("leaves alone what others have said since it looked", async () => {
    const { client, statuses, get } = api();
    await client.create(resources.pods, { metadata: { name: "p", namespace: "default" }, spec: { containers: [] } });
    const seen = await get();
    const gate = (status: string) => ({ type: "example.com/gate", status });
    const say = (status: string) =>
      client.patch(resources.pods, "p", "default", { status: { conditions: [gate(status)] } }, strategic);
    const strategic = { type: "strategic", subresource: "status" } as const;
    await say("True");
    statuses.report(seen, withReady("False"));
    await statuses.flush();
    const old = await get();
    expect(old.status?.conditions).toMatchObject([gate("True"), { type: "Ready", status: "False" }]);
    // What it passes on of what the watch has shown is not written back either.
    await say("False");
    const status = withReady("True");
    statuses.report(old, { ...status, conditions: [...(status.conditions ?? []), gate("True") as never] });
    await statuses.flush();
    expect((await get()).status?.conditions).toMatchObject([gate("False"), { type: "Ready", status: "True" }]);
  });

  it("takes back what is so no longer", async () => {
    const { client, statuses, get } = api();
    await client.create(resources.pods, { metadata: { name: "p", namespace: "default" }, spec: { containers: [] } });
    const at = { lastTransitionTime: "2026-01-01T00:00:00Z" };
    statuses.report(await get(), {
      phase: "Pending",
      reason: "Why",
      message: "because",
      podIP: "10.0.0.1",
      podIPs: [{ ip: "10.0.0.1" }, { ip: "fd00::1" }],
      conditions: [{ type: "Ready", status: "False", reason: "ContainersNotReady", message: "m", ...at }],
    });
    await statuses.flush();
    const now: PodStatus = {
      phase: "Running",
      podIP: "10.0.0.2",
      podIPs: [{ ip: "10.0.0.2" }],
      conditions: [{ type: "Ready", status: "True", ...at }],
    };
    statuses.report(await get(), now);
    await statuses.flush();
    expect((await get()).status).toEqual(now);
    statuses.report(await get(), withReady("True"));
    await statuses.flush();
    expect((await get()).status).toEqual(withReady("True"));
  });
});
