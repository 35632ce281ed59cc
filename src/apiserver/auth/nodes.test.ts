import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Transport } from "#api/index.ts";
import { type Answer, ask } from "../testing/client.ts";
import { startTestServer, type TestServer } from "../testing/server.ts";

const ns = "/api/v1/namespaces/default";
const leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
const merge = { "content-type": "application/merge-patch+json" };

let test: TestServer;
let admin: Transport;
let node01: Transport;

beforeAll(async () => {
  test = await startTestServer();
  admin = test.server.localTransport({ name: "admin", groups: ["system:masters"] });
  node01 = test.server.localTransport({
    name: "system:node:node01",
    groups: ["system:nodes", "system:authenticated"],
  });
  for (const name of ["default", "bob"]) await ask(admin, "POST", `${ns}/serviceaccounts`, { metadata: { name } });
  for (const name of ["node01", "node02"]) await ask(admin, "POST", "/api/v1/nodes", { metadata: { name } });
  for (const name of ["used", "pulled", "other", "free"]) {
    await ask(admin, "POST", `${ns}/secrets`, { metadata: { name } });
    await ask(admin, "POST", `${ns}/configmaps`, { metadata: { name } });
  }
  await ask(admin, "POST", `${ns}/pods`, pod("mine", "node01", "used"));
  await ask(admin, "POST", `${ns}/pods`, pod("theirs", "node02", "other"));
});
afterAll(() => test.stop());

const pod = (name: string, nodeName: string, object: string, more: object = {}) => ({
  metadata: { name },
  spec: {
    nodeName,
    serviceAccountName: "bob",
    containers: [{ name: "c", image: "x", envFrom: [{ configMapRef: { name: object } }] }],
    volumes: [
      { name: "v", secret: { secretName: object } },
      { name: "w", persistentVolumeClaim: { claimName: object } },
    ],
    imagePullSecrets: [{ name: `${object === "used" ? "pulled" : object}` }],
    ...more,
  },
});

const outcome = ({ status, body }: Answer): [number, string | undefined] => [status, body.message];
const refused = (text: string) => [403, expect.stringContaining(text)];
const read = async (path: string) => outcome(await ask(node01, "GET", path));

describe("node authorizer (an agent's own reads)", () => {
  it("gives the secrets and configmaps of the node's pods, and no others", async () => {
    for (const path of ["secrets/used", "secrets/pulled", "configmaps/used"])
      expect([path, (await read(`${ns}/${path}`))[0]]).toEqual([path, 200]);
    expect(await read(`${ns}/secrets/other`)).toEqual([
      403,
      `secrets "other" is forbidden: User "system:node:node01" cannot get resource "secrets" in API group "" in the namespace "default": no relationship found between node 'node01' and this object`,
    ]);
    expect(await read(`${ns}/configmaps/free`)).toEqual(refused("no relationship found between node 'node01'"));
    expect(await read(`${ns}/secrets`)).toEqual(refused("No Object name found"));
    // What is allowed for one name must not show another, nor what an escaped comma hides.
    for (const selector of [
      "metadata.name=other,metadata.name=used",
      "metadata.name=used,metadata.name=other",
      "type!=x\\,metadata.name=used",
    ])
      expect([selector, ...(await read(`${ns}/secrets?fieldSelector=${encodeURIComponent(selector)}`))]).toEqual([
        selector,
        ...refused("No Object name found"),
      ]);
    const hidden = encodeURIComponent("status.phase!=x\\,spec.nodeName=node01");
    expect(await read(`/api/v1/pods?fieldSelector=${hidden}`)).toEqual(
      refused("can only list/watch pods with spec.nodeName field selector"),
    );
    expect(await read("/api/v1/secrets")).toEqual(refused("can only read namespaced object of this type"));
    expect((await read(`${ns}/secrets?fieldSelector=metadata.name%3Dused`))[0]).toBe(200);
  });

  it("follows the pods: what was a concern of the node ends with them", async () => {
    await ask(admin, "POST", `${ns}/pods`, pod("brief", "node01", "free"));
    expect((await read(`${ns}/secrets/free`))[0]).toBe(200);
    await ask(admin, "DELETE", `${ns}/pods/brief?gracePeriodSeconds=0`);
    expect((await read(`${ns}/secrets/free`))[0]).toBe(403);
    // A pod that is not bound yet is nobody's.
    const { nodeName: _, ...unbound } = pod("unbound", "", "free").spec;
    await ask(admin, "POST", `${ns}/pods`, { metadata: { name: "unbound" }, spec: unbound });
    expect((await read(`${ns}/secrets/free`))[0]).toBe(403);
    await ask(admin, "POST", `${ns}/pods/unbound/binding`, { target: { kind: "Node", name: "node01" } });
    expect((await read(`${ns}/secrets/free`))[0]).toBe(200);
  });

  it("gives claims and the volumes behind them", async () => {
    const claim = (name: string) => ({
      metadata: { name },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
    });
    const volume = (name: string) => ({
      metadata: { name },
      spec: {
        capacity: { storage: "1Gi" },
        accessModes: ["ReadWriteOnce"],
        hostPath: { path: "/data" },
        claimRef: { namespace: "default", name },
      },
    });
    for (const name of ["used", "other"]) {
      await ask(admin, "POST", `${ns}/persistentvolumeclaims`, claim(name));
      await ask(admin, "POST", "/api/v1/persistentvolumes", volume(name));
    }
    expect((await read(`${ns}/persistentvolumeclaims/used`))[0]).toBe(200);
    expect((await read("/api/v1/persistentvolumes/used"))[0]).toBe(200);
    expect((await read(`${ns}/persistentvolumeclaims/other`))[0]).toBe(403);
    expect((await read("/api/v1/persistentvolumes/other"))[0]).toBe(403);
    expect(await read(`${ns}/persistentvolumeclaims`)).toEqual(
      refused("can only get individual resources of this type"),
    );
  });

  it("gives the node's own pods, and lists them by spec.nodeName only", async () => {
    expect((await read(`${ns}/pods/mine`))[0]).toBe(200);
    expect((await read(`${ns}/pods/theirs`))[0]).toBe(403);
    expect((await read("/api/v1/pods?fieldSelector=spec.nodeName%3Dnode01"))[0]).toBe(200);
    for (const query of ["", "?fieldSelector=spec.nodeName%3Dnode02", "?fieldSelector=spec.nodeName!%3Dnode01"])
      expect(await read(`/api/v1/pods${query}`)).toEqual(
        refused("can only list/watch pods with spec.nodeName field selector"),
      );
  });

  it("keeps leases, nodes and the rest of the cluster apart", async () => {
    expect((await ask(node01, "POST", leases, { metadata: { name: "node01" }, spec: {} })).status).toBe(201);
    expect(outcome(await ask(node01, "POST", leases, { metadata: { name: "node02" }, spec: {} }))).toEqual(
      refused("can only access node lease with the same name as the requesting node"),
    );
    expect(await read(`${leases}/node02`)).toEqual(
      refused("can only access node lease with the same name as the requesting node"),
    );
    expect(await read(`${leases.replace("kube-node-lease", "default")}/node01`)).toEqual(
      refused('can only access leases in the "kube-node-lease" system namespace'),
    );
    expect(await read("/apis/apps/v1/deployments")).toEqual(refused("cannot list resource"));
    expect((await ask(node01, "DELETE", "/api/v1/namespaces/default")).status).toBe(403);
  });

  it("says nothing of users that are no nodes, and of nodes without a name", async () => {
    const plain = test.server.localTransport({ name: "system:node:node01", groups: ["system:authenticated"] });
    expect((await ask(plain, "GET", `${ns}/secrets/used`)).status).toBe(403);
    const nameless = test.server.localTransport({ name: "system:node:", groups: ["system:nodes"] });
    expect(outcome(await ask(nameless, "GET", `${ns}/secrets/used`))).toEqual(
      refused('unknown node for user "system:node:"'),
    );
  });
});

describe("NodeRestriction (what an agent writes)", () => {
  const patch = (name: string, body: object, sub = "") =>
    ask(node01, "PATCH", `/api/v1/nodes/${name}${sub}`, body, merge).then(outcome);

  it("is about the agent's own node", async () => {
    expect((await patch("node01", { status: { phase: "x" } }, "/status"))[0]).toBe(200);
    expect(await patch("node02", { metadata: { labels: { a: "b" } } })).toEqual([
      403,
      'nodes "node02" is forbidden: node "node01" is not allowed to modify node "node02"',
    ]);
    expect((await patch("node01", { metadata: { labels: { "example.com/rack": "1" } } }))[0]).toBe(200);
    expect(await patch("node01", { metadata: { labels: { "node-restriction.kubernetes.io/pci": "1" } } })).toEqual(
      refused("is not allowed to modify labels: node-restriction.kubernetes.io/pci"),
    );
    expect(await patch("node01", { metadata: { labels: { "node-role.kubernetes.io/control-plane": "" } } })).toEqual(
      refused("is not allowed to modify labels: node-role.kubernetes.io/control-plane"),
    );
    expect((await patch("node01", { metadata: { labels: { "topology.kubernetes.io/zone": "z" } } }))[0]).toBe(200);
    expect(await patch("node01", { spec: { taints: [{ key: "k", effect: "NoSchedule" }] } })).toEqual(
      refused('node "node01" is not allowed to modify taints'),
    );
  });

  it("lets an agent report, evict and delete the node's own pods only", async () => {
    const status = (name: string, body: object) =>
      ask(node01, "PATCH", `${ns}/pods/${name}/status`, body, merge).then(outcome);
    expect((await status("mine", { status: { phase: "Running" } }))[0]).toBe(200);
    expect(await status("theirs", { status: { phase: "Failed" } })).toEqual(
      refused('node "node01" can only update pod status for pods with spec.nodeName set to itself'),
    );
    const evict = (name: string) =>
      ask(node01, "POST", `${ns}/pods/${name}/eviction`, { metadata: { name } }).then(outcome);
    expect(await evict("theirs")).toEqual(refused("node node01 can only evict pods with spec.nodeName set to itself"));
    expect(outcome(await ask(node01, "DELETE", `${ns}/pods/theirs`))).toEqual(
      refused('node "node01" can only delete pods with spec.nodeName set to itself'),
    );
    await ask(admin, "POST", `${ns}/pods`, pod("leaving", "node01", "used"));
    expect((await ask(node01, "DELETE", `${ns}/pods/leaving?gracePeriodSeconds=0`)).status).toBe(200);
  });

  it("lets an agent show mirror pods of its own", async () => {
    const { uid } = (await ask(admin, "GET", "/api/v1/nodes/node01")).body.metadata;
    const owner = { apiVersion: "v1", kind: "Node", name: "node01", uid, controller: true };
    const mirror = (name: string, metadata: object, spec: object = {}) => ({
      metadata: {
        name,
        annotations: { "kubernetes.io/config.mirror": "hash" },
        ownerReferences: [owner],
        ...metadata,
      },
      spec: { nodeName: "node01", containers: [{ name: "c", image: "x" }], ...spec },
    });
    const create = (body: object) => ask(node01, "POST", `${ns}/pods`, body).then(outcome);
    expect((await create(mirror("m1", {})))[0]).toBe(201);
    expect(await create(mirror("m2", { annotations: {} }))).toEqual(
      refused('pod does not have "kubernetes.io/config.mirror" annotation, node "node01" can only create mirror pods'),
    );
    expect(await create(mirror("m2", {}, { nodeName: "node02" }))).toEqual(
      refused('node "node01" can only create pods with spec.nodeName set to itself'),
    );
    expect(await create(mirror("m2", { ownerReferences: [] }))).toEqual(
      refused('node "node01" can only create pods with an owner reference set to itself'),
    );
    expect(await create(mirror("m2", { ownerReferences: [{ ...owner, uid: "other" }] }))).toEqual(
      refused("node node01 UID mismatch: expected other got"),
    );
    const volumes = [{ name: "v", secret: { secretName: "other" } }];
    expect(await create(mirror("m2", {}, { volumes }))).toEqual(
      refused('node "node01" can not create pods that reference secrets'),
    );
  });

  it("gives tokens of the node's pods, bound to them", async () => {
    const ask1 = (ref: object | undefined, account = "bob") =>
      ask(node01, "POST", `${ns}/serviceaccounts/${account}/token`, { spec: { boundObjectRef: ref } }).then(outcome);
    const { uid } = (await ask(admin, "GET", `${ns}/pods/mine`)).body.metadata;
    const ref = { apiVersion: "v1", kind: "Pod", name: "mine", uid };
    expect((await ask1(ref))[0]).toBe(201);
    expect(await ask1(undefined)).toEqual(refused("node requested token not bound to a pod"));
    expect(await ask1({ ...ref, uid: undefined })).toEqual(
      refused("node requested token with a pod binding without a uid"),
    );
    const theirs = (await ask(admin, "GET", `${ns}/pods/theirs`)).body.metadata.uid;
    expect(await ask1({ ...ref, name: "theirs", uid: theirs })).toEqual(
      refused("node requested token bound to a pod scheduled on a different node"),
    );
    expect(await ask1(ref, "default")).toEqual(refused("no relationship found between node 'node01' and this object"));
  });
});
