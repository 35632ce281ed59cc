import { describe, expect, it } from "vitest";
import { importDiagram } from "./documents.mjs";
import { faultOf, folderImports, layerFaults } from "./layers.mjs";
import { read } from "./sources.mjs";

describe("layers", () => {
  it.each([
    ["src/services/apply.ts", "#kernel/nft/index.ts", undefined],
    ["src/services/apply.ts", "#base/ip.ts", undefined],
    ["src/services/apply.ts", "./plan.ts", undefined],
    ["src/services/apply.ts", "node:fs", undefined],
    ["src/kernel/ffi/libc.ts", "koffi", undefined],
    ["src/services/apply.ts", "koffi", /only src\/kernel\//],
    ["src/services/apply.ts", "node:child_process", /only .*src\/ingress\/nginx\.ts/],
    ["src/ingress/nginx.ts.ts", "node:child_process", /only /],
    ["src/ingress/nginx.ts", "node:child_process", undefined],
    ["src/services/apply.ts", "#kernel/nft/model.ts", /index\.ts/],
    ["src/services/apply.ts", "#dns/index.ts", /arrows point down/],
    ["src/kernel/nft/apply.ts", "#api/index.ts", /arrows point down/],
    ["src/services/apply.ts", "../kernel/nft/index.ts", /leaves src\/services/],
    ["src/services/apply.ts", "#elsewhere/index.ts", /no layer/],
    ["src/services/apply.ts", "#test/tools.ts", /only tests/],
    ["src/services/apply.test.ts", "#test/tools.ts", undefined],
  ])("%s imports %s", (file, target, fault) => {
    const found = faultOf(file, target);
    if (fault) expect(found).toMatch(fault);
    else expect(found).toBeUndefined();
  });

  it("hold in the sources", () => {
    expect(layerFaults()).toEqual([]);
  });

  it("are drawn in docs/architecture.md as the imports are", () => {
    expect(folderImports().size).toBeGreaterThan(3);
    const drawn = read("docs/architecture.md").includes(importDiagram());
    expect(drawn, "stale: npm run docs").toBe(true);
  });
});
