import { describe, expect, it } from "vitest";
import { exampleTable } from "./testing/example.ts";

describe("nft text", () => {
  it.each(["ip", "ip6"] as const)("of the example, family %s", async (family) => {
    await expect(exampleTable(family).load.toString()).toMatchFileSnapshot(`testing/example-${family}.nft`);
  });
});
