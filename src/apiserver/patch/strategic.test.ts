import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Dict } from "../object.ts";
import { Schema } from "../schema/schema.ts";
import { applyJsonPatch } from "./json-patch.ts";
import { applyMergePatch } from "./merge-patch.ts";
import { applyStrategicPatch } from "./strategic.ts";

const schema = new Schema();
const patchPod = (target: Dict, patch: Dict) => applyStrategicPatch(schema, "core.v1.PodSpec", target, patch);

describe("strategic merge patch (SIG API Machinery's strategic-merge-patch.md)", () => {
  const target = {
    containers: [
      { name: "a", image: "1", ports: [{ containerPort: 80 }], env: [{ name: "X", value: "1" }] },
      { name: "b", image: "1" },
    ],
    nodeSelector: { a: "1", b: "2" },
    tolerations: [{ key: "x" }],
  };

  it("merges lists by their key and replaces others", () => {
    const out = patchPod(target, {
      containers: [
        { name: "b", image: "2" },
        { name: "c", image: "3" },
      ],
      tolerations: [{ key: "y" }],
      nodeSelector: { a: null, c: "3" },
    });
    expect(out).toEqual({
      containers: [target.containers[0], { name: "b", image: "2" }, { name: "c", image: "3" }],
      nodeSelector: { b: "2", c: "3" },
      tolerations: [{ key: "y" }],
    });
    expect(target.containers).toHaveLength(2);
  });

  it("takes seconds for no list that fits into a body", () => {
    const many = (value: object) => Array.from({ length: 60_000 }, (_, i) => ({ name: `c${i}`, ...value }));
    const start = process.cpuUsage();
    const added = patchPod({ containers: [{ name: "a" }] }, { containers: many({}) });
    expect(added.containers).toHaveLength(60_001);
    const left = patchPod(added, { containers: many({ $patch: "delete" }) });
    expect(left.containers).toEqual([{ name: "a" }]);
    // Of this process alone, in µs: what else runs on the machine does not count.
    expect(process.cpuUsage(start).user).toBeLessThan(5_000_000);
  });

  it("deletes and replaces by $patch", () => {
    expect(patchPod(target, { containers: [{ name: "a", $patch: "delete" }] }).containers).toEqual([
      { name: "b", image: "1" },
    ]);
    const twins = [{ name: "z" }, { name: "z", image: "i" }];
    expect(patchPod(target, { containers: [{ $patch: "replace" }, ...twins] }).containers).toEqual(twins);
    expect(patchPod(target, { containers: [{ $patch: "replace" }, { name: "z" }] }).containers).toEqual([
      { name: "z" },
    ]);
    expect(
      patchPod(
        { securityContext: { runAsUser: 1, runAsGroup: 2 } },
        { securityContext: { $patch: "replace", runAsUser: 3 } },
      ),
    ).toEqual({ securityContext: { runAsUser: 3 } });
    expect(patchPod({ securityContext: { runAsUser: 1 } }, { securityContext: { $patch: "delete" } })).toEqual({
      securityContext: {},
    });
  });

  it("orders by $setElementOrder", () => {
    const out = patchPod(target, {
      "$setElementOrder/containers": [{ name: "b" }, { name: "a" }],
      containers: [{ name: "b", image: "2" }],
    });
    expect((out.containers as Dict[]).map((c) => c.name)).toEqual(["b", "a"]);
    const orderOnly = patchPod(target, { "$setElementOrder/containers": [{ name: "b" }, { name: "a" }] });
    expect((orderOnly.containers as Dict[]).map((c) => c.name)).toEqual(["b", "a"]);
  });

  it("keeps only what $retainKeys names", () => {
    const deployment = { strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1 } } };
    const out = applyStrategicPatch(schema, "apps.v1.DeploymentSpec", deployment, {
      strategy: { $retainKeys: ["type"], type: "Recreate" },
    });
    expect(out).toEqual({ strategy: { type: "Recreate" } });
    const volumes = patchPod(
      { volumes: [{ name: "v", emptyDir: {} }] },
      { volumes: [{ name: "v", $retainKeys: ["name", "configMap"], configMap: { name: "c" } }] },
    );
    expect(volumes).toEqual({ volumes: [{ name: "v", configMap: { name: "c" } }] });
  });

  it("merges lists of plain values and deletes from them", () => {
    const meta = (patch: Dict) => applyStrategicPatch(schema, "meta.v1.ObjectMeta", { finalizers: ["a", "b"] }, patch);
    expect(meta({ finalizers: ["b", "c"] })).toEqual({ finalizers: ["a", "b", "c"] });
    expect(meta({ "$deleteFromPrimitiveList/finalizers": ["a"] })).toEqual({ finalizers: ["b"] });
    expect(meta({ "$deleteFromPrimitiveList/finalizers": ["a", "b"] })).toEqual({ finalizers: [] });
  });

  it("refuses list items without their key and unknown directives", () => {
    expect(() => patchPod(target, { containers: [{ image: "x" }] })).toThrow(
      "does not contain declared merge key: name",
    );
    expect(() => patchPod(target, { $patch: "explode" })).toThrow(
      "unknown patch type: explode in map: map[$patch:explode]",
    );
  });
});

describe("JSON patch (RFC 6902)", () => {
  const document = { a: { b: [1, 2, 3] }, "c/d": 1, "e~f": 2 };

  it.each<[string, unknown[], unknown]>([
    ["add into a list", [{ op: "add", path: "/a/b/1", value: 9 }], { ...document, a: { b: [1, 9, 2, 3] } }],
    ["append", [{ op: "add", path: "/a/b/-", value: 9 }], { ...document, a: { b: [1, 2, 3, 9] } }],
    ["remove", [{ op: "remove", path: "/a/b/0" }], { ...document, a: { b: [2, 3] } }],
    ["replace", [{ op: "replace", path: "/a/b", value: "x" }], { ...document, a: { b: "x" } }],
    [
      "escapes",
      [
        { op: "remove", path: "/c~1d" },
        { op: "remove", path: "/e~0f" },
      ],
      { a: document.a },
    ],
    ["move", [{ op: "move", from: "/a/b", path: "/g" }], { "c/d": 1, "e~f": 2, a: {}, g: [1, 2, 3] }],
    ["copy", [{ op: "copy", from: "/c~1d", path: "/a/x" }], { ...document, a: { b: [1, 2, 3], x: 1 } }],
    ["test", [{ op: "test", path: "/a", value: { b: [1, 2, 3] } }], document],
  ])("%s", (_name, patch, expected) => {
    const before = structuredClone(document);
    expect(applyJsonPatch(document, patch)).toEqual(expected);
    expect(document).toEqual(before);
  });

  it.each([
    [[{ op: "remove", path: "/nope" }]],
    [[{ op: "replace", path: "/nope", value: 1 }]],
    [[{ op: "test", path: "/a", value: 1 }]],
    [[{ op: "add", path: "/a/b/7", value: 1 }]],
    [[{ op: "add", path: "a", value: 1 }]],
    [[{ op: "bogus", path: "/a" }]],
    [{ op: "add" }],
  ])("refuses %j", (patch) => {
    expect(() => applyJsonPatch(document, patch)).toThrow();
  });

  it("never throws anything but a Status, whatever comes (property)", () => {
    const pointer = fc
      .array(fc.constantFrom("a", "b", "0", "-", "__proto__", "c~1d"))
      .map((p) => p.map((x) => `/${x}`).join(""));
    const operation = fc.record({
      op: fc.constantFrom("add", "remove", "replace", "move", "copy", "test"),
      path: pointer,
      from: pointer,
      value: fc.jsonValue(),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 5 }), (patch) => {
        try {
          applyJsonPatch(document, patch);
        } catch (error) {
          expect(error).toHaveProperty("code");
        }
        expect(({} as Dict).polluted).toBeUndefined();
      }),
      { seed: 3, numRuns: 500 },
    );
  });
});

describe("JSON merge patch (RFC 7386)", () => {
  it.each([
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [["a"], { a: 1 }, { a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])("%j with %j is %j", (target, patch, expected) => {
    expect(applyMergePatch(target, patch)).toEqual(expected);
  });
});

describe("JSON patches that move much", () => {
  const numbers = Array.from({ length: 1_100_000 }, (_, i) => i);
  const many = (operation: object) => Array.from({ length: 9_998 }, () => operation);

  it.each([
    ["insertions at the front", { op: "add", path: "/x/0", value: 1 }],
    ["removals at the front", { op: "remove", path: "/x/0" }],
    ["moves from the front to the end", { op: "move", from: "/x/0", path: "/x/-" }],
    ["moves from the end to the front", { op: "move", from: "/x/1000", path: "/x/0" }],
  ])("%s of a long array are refused", (_, operation) => {
    const patch = [{ op: "add", path: "/x", value: numbers }, ...many(operation)];
    expect(() => applyJsonPatch({}, patch)).toThrow("The allowed maximum of array elements moved by a JSON patch is");
  });

  it("may be as many as there are operations where the array is as short", () => {
    const patch = [{ op: "add", path: "/x", value: [] }, ...many({ op: "add", path: "/x/0", value: 1 })];
    expect(applyJsonPatch({}, patch)).toEqual({ x: Array(9_998).fill(1) });
  });

  it("replacing moves nothing", () => {
    const patch = [{ op: "add", path: "/x", value: numbers }, ...many({ op: "replace", path: "/x/0", value: "new" })];
    const { x } = applyJsonPatch({}, patch) as { x: unknown[] };
    expect([x.length, x[0], x[1]]).toEqual([1_100_000, "new", 1]);
  });
});
