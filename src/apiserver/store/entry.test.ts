import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { StoredObject } from "../object.ts";
import { Entry } from "./entry.ts";

describe("Entry", () => {
  it("gives the metadata's JSON out of the object's, wherever it stands there", () => {
    const texts = fc.dictionary(fc.string({ unit: "binary" }), fc.oneof(fc.string({ unit: "binary" }), fc.jsonValue()));
    const metadata = fc.record({ name: fc.string(), annotations: texts });
    fc.assert(
      fc.property(metadata, texts, fc.boolean(), (metadata, spec, first) => {
        const object = (first
          ? { metadata, spec, kind: "K" }
          : { kind: "}", metadata, spec }) as unknown as StoredObject;
        const json = JSON.stringify(object);
        const expected = JSON.stringify(JSON.parse(json).metadata);
        expect(Entry.ofObject("a", 1, object).metadataJson).toBe(JSON.stringify(metadata));
        expect(Entry.ofJson("a", 1, json).metadataJson).toBe(expected);
      }),
      { seed: 1 },
    );
  });
});
