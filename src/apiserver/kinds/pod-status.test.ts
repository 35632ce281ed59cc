import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Dict } from "../object.ts";
import { ask } from "../testing/client.ts";
import { type LocalServer, startLocalServer } from "../testing/local.ts";

let local: LocalServer;
beforeAll(async () => {
  local = await startLocalServer();
  await ask(local.api, "POST", "/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "default" } });
});
afterAll(() => local.server.stop());

const pods = "/api/v1/namespaces/default/pods";
const make = (name: string, spec: Dict = {}) =>
  ask(local.api, "POST", pods, { metadata: { name }, spec: { containers: [{ name: "c", image: "x" }], ...spec } });
const say = (name: string, status: Dict) =>
  ask(
    local.api,
    "PATCH",
    `${pods}/${name}/status`,
    { status },
    { "content-type": "application/strategic-merge-patch+json" },
  );

describe("the status of a pod", () => {
  it("keeps each writer's conditions and loses what is said to be gone, as a kubelet patches it", async () => {
    await make("shared");
    const at = { lastTransitionTime: "2026-01-01T00:00:00Z" };
    const gate = { type: "example.com/gate", status: "True", ...at };
    await say("shared", { conditions: [gate] });
    const addresses = ["10.0.0.1", "fd00::1"].map((ip) => ({ ip }));
    await say("shared", {
      reason: "Why",
      podIP: "10.0.0.1",
      podIPs: [{ $patch: "replace" }, ...addresses],
      conditions: [{ type: "Ready", status: "False", reason: "R", message: "m", lastProbeTime: null, ...at }],
    });
    const { body } = await say("shared", {
      reason: null,
      podIP: "10.0.0.2",
      podIPs: [{ $patch: "replace" }, { ip: "10.0.0.2" }],
      conditions: [{ reason: null, message: null, type: "Ready", status: "True", lastProbeTime: null, ...at }],
    });
    // A time that is not set is shown, as Go does it; the patch's items stand before others, as without an order.
    expect(body.status).toEqual({
      phase: "Pending",
      qosClass: "BestEffort",
      podIP: "10.0.0.2",
      podIPs: [{ ip: "10.0.0.2" }],
      conditions: [
        { type: "Ready", status: "True", lastProbeTime: null, ...at },
        { ...gate, lastProbeTime: null },
      ],
    });
  });

  // KEP-2837: resources of the pod itself decide.
  it("has the class of the pod's own resources", async () => {
    const amounts = { cpu: "1", memory: "64Mi" };
    const { body } = await make("classed", { resources: { limits: amounts, requests: amounts } });
    expect(body.status).toMatchObject({ qosClass: "Guaranteed" });
  });
});
