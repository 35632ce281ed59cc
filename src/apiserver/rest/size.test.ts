import { describe, expect, it } from "vitest";
import type { Dict } from "../object.ts";
import { ask } from "../testing/client.ts";
import { inContainer, pathOf, startForPods } from "../testing/refusals.ts";
import { isLongerThan } from "./size.ts";

describe("U01 objects that are too large or too wrong (part: bounded work)", () => {
  it.each([
    [{ a: "x", b: [1, true, null, { c: {} }] }],
    [{ list: Array.from({ length: 50 }, (_, i) => `${i}`) }],
    [["", [], {}, undefined]],
    [{ gone: undefined }],
  ])("the length of %j is never taken for more than it is", (value) => {
    const { length } = JSON.stringify(value);
    expect(isLongerThan(value, length)).toBe(false);
    expect(isLongerThan({ value, more: "x".repeat(length) }, length)).toBe(true);
  });

  it("are refused before they are looked at, and with a bounded number of causes", async () => {
    const local = await startForPods();
    const many = <T>(count: number, make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i));
    const post = (plural: string, body: Dict) => ask(local.api, "POST", pathOf("v1", plural), body);
    try {
      // 1.3 MB of body; with their defaults 15 MB.
      const containers = many(100_000, () => ({ name: "!" }));
      const huge = await post("pods", { metadata: { name: "huge" }, spec: { containers } });
      expect([huge.status, huge.body.message]).toEqual([500, "etcdserver: request is too large"]);
      const ports = many(5000, () => ({ containerPort: 0 }));
      const wrong = await post("pods", { metadata: { name: "wrong" }, ...inContainer({ ports }) });
      expect(wrong.status).toBe(422);
      const { causes } = wrong.body.details as { causes: { message: string; field?: string }[] };
      expect(causes.length).toBe(1001);
      expect(causes[0]?.field).toBe("spec.containers[0].ports[0].containerPort");
      expect(causes.at(-1)?.message).toBe("too many errors: the rest was not looked for");
      expect(String(wrong.body.message)).toMatch(
        /^Pod "wrong" is invalid: \[.*, too many errors: the rest was not looked for\]$/,
      );
      // A change of an object that fits must fit too.
      expect((await post("serviceaccounts", { metadata: { name: "m" } })).status).toBe(201);
      const annotations = { a: "x".repeat(1_600_000) };
      const account = { metadata: { name: "m", annotations } };
      const grown = await ask(local.api, "PUT", `${pathOf("v1", "serviceaccounts")}/m`, account);
      expect([grown.status, grown.body.message]).toEqual([500, "etcdserver: request is too large"]);
    } finally {
      await local.server.stop();
    }
  });
});
