import { describe, expect, it } from "vitest";
import { createLogger } from "#base/log.ts";
import type { StoredObject } from "../object.ts";
import { createApiServer } from "../server.ts";
import { ask } from "../testing/client.ts";
import { startTestServer } from "../testing/server.ts";

const path = "/apis/rbac.authorization.k8s.io/v1";

/** What is the same whenever an object is made. */
function lasting({ metadata, ...fields }: StoredObject): unknown {
  const { uid: _u, resourceVersion: _r, creationTimestamp: _c, managedFields = [], ...meta } = metadata;
  const owners = managedFields.map(({ time: _t, ...entry }) => entry);
  return { ...fields, metadata: { ...meta, managedFields: owners } };
}

describe("default roles and bindings", () => {
  it("are what a create request of each would have made", async () => {
    const test = await startTestServer();
    const admin = test.server.localTransport({ name: "admin", groups: ["system:masters"] });
    for (const plural of ["clusterroles", "clusterrolebindings", "roles", "rolebindings"]) {
      const { items = [] } = (await ask(admin, "GET", `${path}/${plural}`)).body;
      expect(items.length).toBeGreaterThan(5);
      for (const item of items) {
        const { name, namespace, labels, annotations } = item.metadata;
        // A role that gathers has two owners: who made it and who gathers.
        if (item.aggregationRule) continue;
        const collection = namespace ? `${path}/namespaces/${namespace}/${plural}` : `${path}/${plural}`;
        await ask(admin, "DELETE", `${collection}/${name}`);
        const { metadata: _, ...fields } = item;
        const draft = { ...fields, metadata: { name, labels, annotations } };
        const made = await ask(admin, "POST", `${collection}?fieldManager=kube-apiserver`, draft);
        expect(made.status).toBe(201);
        expect(lasting(item)).toEqual(lasting(made.body));
      }
    }
    await test.stop();
  });

  it("hold from the start what they gather: nothing is left for the aggregation to write", async () => {
    const test = await startTestServer();
    const { listen: _, ...options } = test.options;
    const server = createApiServer(options, { log: createLogger("test", { level: "error" }) });
    const admin = server.localTransport({ name: "admin", groups: ["system:masters"] });
    for (const name of ["admin", "edit", "view"]) {
      const { body } = await ask(admin, "GET", `${path}/clusterroles/${name}`);
      expect(body.metadata.managedFields?.map((m) => [m.manager, m.fieldsV1?.["f:rules"]])).toEqual([
        ["kube-apiserver", undefined],
        ["clusterrole-aggregation-controller", {}],
      ]);
      // Written once, at the same moment: no update came after it.
      expect(new Set(body.metadata.managedFields?.map((m) => m.time)).size).toBe(1);
    }
    await server.stop();
    await test.stop();
  });
});
