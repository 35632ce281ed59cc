import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { attachmentOf, runTool } from "./index.ts";

describe("N01 a runtime's duties by hand (part: without a namespace)", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "pw-cni-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const options = () => ({ confDir: folder, binDirs: [folder], cacheDir: join(folder, "cache") });

  it("takes a name of ip netns, or a path, and cnitool's id for it", () => {
    // printf /run/netns/red | sha512sum | cut -c 1-20
    const id = "cnitool-5a8afba643291be94fa1";
    expect(attachmentOf({ netns: "red" })).toEqual({ netns: "/run/netns/red", ifName: "eth0", containerId: id });
    expect(attachmentOf({ netns: "/run/netns/red", ifName: "net1" })).toMatchObject({
      ifName: "net1",
      containerId: id,
    });
  });

  it("says in CNI's form what cannot be done", async () => {
    const none = await runTool({ action: "status" }, options());
    expect([none.code, JSON.parse(none.stdout)]).toEqual([1, expect.objectContaining({ code: expect.any(Number) })]);
    const gone = await runTool({ action: "add", netns: "/run/netns/nowhere-at-all" }, options());
    expect(JSON.parse(gone.stdout)).toMatchObject({ code: 4, msg: expect.stringContaining("nowhere-at-all") });
  });

  it("needs nothing for a status of plugins that are older than STATUS, or for letting go of nothing", async () => {
    const network = { cniVersion: "0.4.0", name: "n", plugins: [{ type: "absent" }] };
    writeFileSync(join(folder, "10-n.conflist"), JSON.stringify(network));
    expect(await runTool({ action: "status" }, options())).toEqual({ code: 0, stdout: "" });
    expect(await runTool({ action: "gc" }, options())).toEqual({ code: 0, stdout: "" });
  });
});
