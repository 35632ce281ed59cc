import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Dict } from "../object.ts";
import { ask } from "../testing/client.ts";
import { type LocalServer, startLocalServer } from "../testing/local.ts";

let local: LocalServer;
beforeAll(async () => {
  local = await startLocalServer();
  await ask(local.api, "POST", "/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "default" } });
  await ask(local.api, "POST", "/apis/scheduling.k8s.io/v1/priorityclasses", {
    metadata: { name: "high" },
    value: 1000,
    preemptionPolicy: "Never",
  });
});
afterAll(() => local.server.stop());

const run = (spec: Dict) =>
  ask(local.api, "POST", "/api/v1/namespaces/default/pods", {
    metadata: { generateName: "p-" },
    spec: { containers: [{ name: "c", image: "x" }], ...spec },
  });

// Source: k8s.io/kubernetes/plugin/pkg/admission/priority.
describe("the Priority admission plugin", () => {
  it("takes priorities that fit the class", async () => {
    const { body } = await run({ priorityClassName: "high", priority: 1000 });
    expect(body.spec).toMatchObject({ priority: 1000, preemptionPolicy: "Never" });
    expect((await run({ priority: 0 })).status).toBe(201);
  });

  it.each<[Dict, string]>([
    [
      { priority: 5 },
      "integer value of priority (5) must not be provided in pod spec; priority admission controller computed 0",
    ],
    [
      { priorityClassName: "high", priority: 5 },
      "integer value of priority (5) must not be provided in pod spec; priority admission controller computed 1000",
    ],
    [
      { preemptionPolicy: "Never" },
      "string value of PreemptionPolicy (Never) must not be provided in pod spec; priority admission controller computed PreemptLowerPriority",
    ],
  ])("refuses others: %j", async (spec, why) => {
    const { status, body } = await run(spec);
    expect([status, body.message]).toEqual([
      403,
      expect.stringMatching(/^pods "p-.{5}" is forbidden: the .* from the given PriorityClass name$/),
    ]);
    expect(body.message).toContain(why);
  });
});

// Source: kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#taintnodesbycondition.
describe("the TaintNodesByCondition admission plugin", () => {
  it("taints new nodes, once", async () => {
    const taint = { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" };
    const make = (name: string, spec: Dict) => ask(local.api, "POST", "/api/v1/nodes", { metadata: { name }, spec });
    const own = { key: "a", value: "b", effect: "NoExecute" };
    expect((await make("one", { taints: [own] })).body.spec).toMatchObject({ taints: [own, taint] });
    expect((await make("two", { taints: [taint] })).body.spec).toMatchObject({ taints: [taint] });
  });
});
