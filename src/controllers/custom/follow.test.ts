import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type KubeObject, resource, resources } from "#api/index.ts";
import { InProcessCluster } from "../testing/cluster.ts";

const gadgets = resource<KubeObject>("example.com", "v1", "networkpolicies", "Gadget");

/** A definition whose plural is that of a kind that nothing acts on, in another group. */
const definition = {
  metadata: { name: "networkpolicies.example.com" },
  spec: {
    group: "example.com",
    scope: "Namespaced",
    names: { plural: "networkpolicies", kind: "Gadget", singular: "gadget" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    ],
  },
};

let plane: InProcessCluster;
beforeEach(() => {
  plane = new InProcessCluster();
});
afterEach(() => plane.stop());

const { configMaps, customResourceDefinitions } = resources;

async function define(): Promise<void> {
  await plane.client.create(customResourceDefinitions, definition);
}

async function make(name: string): Promise<KubeObject> {
  return plane.client.create(gadgets, { metadata: { name, namespace: "default" } });
}

/** A ConfigMap that a gadget owns. */
async function own(name: string, owner: KubeObject): Promise<void> {
  const { uid = "", name: ownerName } = owner.metadata;
  const ownerReferences = [{ apiVersion: "example.com/v1", kind: "Gadget", name: ownerName, uid }];
  await plane.client.create(configMaps, { metadata: { name, namespace: "default", ownerReferences } });
}

/** Waits until a ConfigMap is gone, at most five seconds. */
async function gone(name: string): Promise<void> {
  await expect
    .poll(
      async () => (await plane.client.list(configMaps, { namespace: "default" })).items.map((o) => o.metadata.name),
      {
        timeout: 5000,
      },
    )
    .not.toContain(name);
}

describe("controllers learn kinds of custom objects while they run", () => {
  it("collects what a custom object owned, of a kind that came later", async () => {
    await plane.startControllers();
    await define();
    const owner = await make("one");
    await own("owned", owner);
    await plane.client.delete(gadgets, "one", "default", { propagationPolicy: "Background" });
    await gone("owned");
  });

  it("keeps what an owner holds that is there", async () => {
    await plane.startControllers();
    await define();
    const [stays, goes] = [await make("stays"), await make("goes")];
    await own("kept", stays);
    await own("dropped", goes);
    await plane.client.delete(gadgets, "goes", "default");
    await gone("dropped");
    expect((await plane.client.get(configMaps, "kept", "default")).metadata.name).toBe("kept");
  });

  it("collects what the objects owned when their definition goes", async () => {
    await plane.startControllers();
    await define();
    await own("owned", await make("one"));
    await plane.client.delete(customResourceDefinitions, "networkpolicies.example.com");
    await gone("owned");
  });

  it("knows the definitions that were there before it", async () => {
    await define();
    await own("owned", await make("one"));
    const controllers = await plane.startControllers();
    await plane.client.delete(gadgets, "one", "default");
    await gone("owned");
    await plane.client.delete(customResourceDefinitions, "networkpolicies.example.com");
    await controllers.idle();
    expect(controllers.health()).toMatchObject({ ok: true, broken: [] });
  });

  it("empties a namespace of custom objects", async () => {
    await plane.startControllers();
    await define();
    await plane.client.create(resources.namespaces, { metadata: { name: "space" } });
    await plane.client.create(gadgets, { metadata: { name: "one", namespace: "space" } });
    await plane.client.delete(resources.namespaces, "space");
    await expect
      .poll(async () => (await plane.client.list(resources.namespaces)).items.map((o) => o.metadata.name), {
        timeout: 5000,
      })
      .not.toContain("space");
    expect((await plane.client.list(gadgets)).items).toEqual([]);
  });

  it("says nothing of custom objects, whose controllers it cannot know", async () => {
    const controllers = await plane.startControllers();
    await define();
    await make("one");
    await controllers.stop();
    const { items } = await plane.client.list(resources.events);
    expect(items.filter((event) => event.reason === "NoController")).toEqual([]);
  });
});
