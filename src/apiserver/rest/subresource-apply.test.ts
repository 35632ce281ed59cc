import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Dict, StoredObject } from "../object.ts";
import { ask } from "../testing/client.ts";
import { type LocalServer, startLocalServer } from "../testing/local.ts";

let local: LocalServer;
beforeAll(async () => {
  local = await startLocalServer();
  await ask(local.api, "POST", "/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "default" } });
});
afterAll(() => local.server.stop());

const deployments = "/apis/apps/v1/namespaces/default/deployments";
const pods = "/api/v1/namespaces/default/pods";
const applied = { "content-type": "application/apply-patch+yaml" };
const merged = { "content-type": "application/merge-patch+json" };

const owners = ({ metadata }: StoredObject) =>
  (metadata.managedFields ?? []).map((e) => [e.manager, e.operation, e.subresource ?? "", e.apiVersion]);
const fieldsOf = ({ metadata }: StoredObject, manager: string) =>
  metadata.managedFields?.find((e) => e.manager === manager)?.fieldsV1;

async function makeDeployment(name: string, replicas?: number): Promise<void> {
  const labels = { app: name };
  const spec = {
    ...(replicas === undefined ? {} : { replicas }),
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers: [{ name: "c", image: "x" }] } },
  };
  const body = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name }, spec };
  const { status } = await ask(local.api, "PATCH", `${deployments}/${name}?fieldManager=maker`, body, applied);
  expect(status).toBe(201);
}

function applyScale(name: string, replicas: number, query: string) {
  const body = { apiVersion: "autoscaling/v1", kind: "Scale", metadata: { name }, spec: { replicas } };
  return ask(local.api, "PATCH", `${deployments}/${name}/scale?${query}`, body, applied);
}

// Source: k8s.io/apimachinery/pkg/util/managedfields/scalehandler.go and the enhancement "server-side apply", Subresources.
describe("server-side apply of a Scale", () => {
  it("conflicts with who owns the number, and takes it when forced", async () => {
    await makeDeployment("a", 2);
    const refused = await applyScale("a", 5, "fieldManager=scaler");
    expect([refused.status, refused.body.message]).toEqual([
      409,
      'Apply failed with 1 conflict: conflict with "maker": .spec.replicas',
    ]);
    const forced = await applyScale("a", 5, "fieldManager=scaler&force=true");
    expect([forced.status, forced.body.spec]).toEqual([200, { replicas: 5 }]);
    expect(forced.body.metadata.managedFields).toBeUndefined();
    const { body } = await ask(local.api, "GET", `${deployments}/a`);
    expect(owners(body)).toEqual([
      ["maker", "Apply", "", "apps/v1"],
      ["scaler", "Apply", "scale", "apps/v1"],
    ]);
    expect(fieldsOf(body, "scaler")).toEqual({ "f:spec": { "f:replicas": {} } });
    expect(fieldsOf(body, "maker")?.["f:spec"]).not.toHaveProperty("f:replicas");
  });

  it("shares the number with who applied the same, and names the version of a Scale in conflicts", async () => {
    await makeDeployment("b", 2);
    expect((await applyScale("b", 2, "fieldManager=scaler")).status).toBe(200);
    const { body } = await ask(local.api, "GET", `${deployments}/b`);
    expect(fieldsOf(body, "maker")?.["f:spec"]).toHaveProperty("f:replicas");
    expect(fieldsOf(body, "scaler")).toEqual({ "f:spec": { "f:replicas": {} } });
    await ask(local.api, "PATCH", `${deployments}/b/scale?fieldManager=person`, { spec: { replicas: 3 } }, merged);
    const refused = await applyScale("b", 4, "fieldManager=scaler");
    expect(refused.body.message).toBe(
      'Apply failed with 1 conflict: conflict with "person" with subresource "scale" using autoscaling/v1: .spec.replicas',
    );
  });

  it("needs an object and a number that is not negative", async () => {
    const none = await applyScale("none", 1, "fieldManager=scaler");
    expect([none.status, none.body.message]).toEqual([404, 'deployments.apps "none" not found']);
    await makeDeployment("c", 2);
    const negative = await applyScale("c", -1, "fieldManager=scaler&force=true");
    expect([negative.status, negative.body.message]).toEqual([
      422,
      'Scale.autoscaling "c" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
    ]);
  });
});

async function makePod(name: string, resources: Dict = {}): Promise<void> {
  const body = { metadata: { name }, spec: { containers: [{ name: "c", image: "x", resources }] } };
  expect((await ask(local.api, "POST", `${pods}?fieldManager=maker`, body)).status).toBe(201);
}

const podOf = (name: string, spec: Dict) => ({ apiVersion: "v1", kind: "Pod", metadata: { name }, spec });

// Source: pkg/registry/core/pod/strategy.go and ValidatePodEphemeralContainersUpdate, ValidatePodResize of core validation.
describe("the parts of a pod that subresources change", () => {
  it("applies ephemeral containers and nothing else", async () => {
    await makePod("e");
    const spec = { ephemeralContainers: [{ name: "debug", image: "y" }], containers: [{ name: "c", image: "other" }] };
    const path = `${pods}/e/ephemeralcontainers?fieldManager=debugger`;
    const { status, body } = await ask(local.api, "PATCH", path, podOf("e", spec), applied);
    expect(status).toBe(200);
    expect(body.spec).toMatchObject({ containers: [{ image: "x" }], ephemeralContainers: [{ name: "debug" }] });
    expect(owners(body)).toContainEqual(["debugger", "Apply", "ephemeralcontainers", "v1"]);
    expect(fieldsOf(body, "debugger")).toEqual({
      "f:spec": {
        "f:ephemeralContainers": { 'k:{"name":"debug"}': { ".": {}, "f:image": {}, "f:name": {} } },
      },
    });
  });

  it("neither removes nor changes an ephemeral container", async () => {
    await makePod("f");
    const path = `${pods}/f/ephemeralcontainers`;
    const put = async (list: Dict[]) => {
      const { body: pod } = await ask(local.api, "GET", `${pods}/f`);
      return ask(local.api, "PUT", path, { ...pod, spec: { ...(pod.spec as Dict), ephemeralContainers: list } });
    };
    expect((await put([{ name: "debug", image: "y" }])).status).toBe(200);
    expect((await put([])).body.message).toBe(
      'Pod "f" is invalid: spec.ephemeralContainers: Forbidden: existing ephemeral containers "debug" may not be removed',
    );
    expect((await put([{ name: "debug", image: "z" }])).body.message).toBe(
      'Pod "f" is invalid: spec.ephemeralContainers: Forbidden: existing ephemeral containers "debug" may not be changed',
    );
    const nameless = await ask(local.api, "PATCH", path, { spec: { ephemeralContainers: [{ image: "y" }] } }, merged);
    expect(nameless.status).toBe(422);
  });

  it("applies another size and nothing else", async () => {
    await makePod("r", { requests: { cpu: "1" } });
    const spec = { containers: [{ name: "c", image: "other", resources: { requests: { cpu: "2" } } }] };
    const path = `${pods}/r/resize?fieldManager=sizer`;
    const { status, body } = await ask(local.api, "PATCH", `${path}&force=true`, podOf("r", spec), applied);
    expect(status).toBe(200);
    expect(body.spec).toMatchObject({ containers: [{ image: "x", resources: { requests: { cpu: "2" } } }] });
    expect(owners(body)).toContainEqual(["sizer", "Apply", "resize", "v1"]);
  });

  it.each([
    [
      "another class",
      { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "1", memory: "1Gi" } },
      /Pod QOS Class may not change as a result of resizing/,
    ],
    [
      "a limit taken away",
      { requests: { cpu: "1" } },
      /spec\.containers\[0\]\.resources\.limits: Forbidden: resource limits cannot be removed/,
    ],
    [
      "other resources",
      { limits: { cpu: "2" }, requests: { cpu: "1", "ephemeral-storage": "1Gi" } },
      /spec: Forbidden: only cpu and memory resources are mutable/,
    ],
  ])("refuses %s", async (name, resources, message) => {
    const pod = `s-${name.replaceAll(" ", "-")}`;
    await makePod(pod, { limits: { cpu: "2" }, requests: { cpu: "1" } });
    const { body: old } = await ask(local.api, "GET", `${pods}/${pod}`);
    const [container] = (old.spec as { containers: Dict[] }).containers;
    const spec = { ...(old.spec as Dict), containers: [{ ...container, resources }] };
    const refused = await ask(local.api, "PUT", `${pods}/${pod}/resize`, { ...old, spec });
    expect([refused.status, refused.body.message]).toEqual([422, expect.stringMatching(message)]);
  });

  it("binds no pod that is gated", async () => {
    const spec = { schedulingGates: [{ name: "a.b/c" }], containers: [{ name: "c", image: "x" }] };
    await ask(local.api, "POST", pods, { metadata: { name: "gated" }, spec });
    const binding = { metadata: { name: "gated" }, target: { kind: "Node", name: "n" } };
    const { status, body } = await ask(local.api, "POST", `${pods}/gated/binding`, binding);
    expect([status, body.message]).toEqual([
      409,
      'Operation cannot be fulfilled on pods/binding "gated": pod gated has non-empty .spec.schedulingGates',
    ]);
  });
});

// Source: pkg/printers/internalversion/printers.go, printScale.
describe("kubectl get --subresource=scale", () => {
  it("shows desired and available numbers", async () => {
    await makeDeployment("shown", 3);
    const accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    const { body } = await ask(local.api, "GET", `${deployments}/shown/scale`, undefined, { accept });
    const { columnDefinitions, rows } = body as unknown as { columnDefinitions: Dict[]; rows: Dict[] };
    expect(columnDefinitions.map((c) => [c.name, c.type])).toEqual([
      ["Name", "string"],
      ["Desired", "integer"],
      ["Available", "integer"],
      ["Age", "string"],
    ]);
    expect(rows[0]).toMatchObject({
      cells: ["shown", 3, 0, expect.stringMatching(/^\d+s$/)],
      object: { metadata: {} },
    });
  });
});
