import { describe, expect, it } from "vitest";
import type { ContainerImage } from "../images/index.ts";
import { machinesIds, rootPlan } from "./rootPlan.ts";

const folders = { lower: ["/l"], upper: "/u", work: "/w", root: "/r" };
const image = { mounts: [], files: [] } as unknown as ContainerImage;
const plan = (privileged: boolean, hasMachinesIds: boolean) => {
  const { mounts, maskedPaths } = rootPlan(folders, image, [], { privileged, readonlyRoot: false }, hasMachinesIds);
  const sys = mounts.find(({ target }) => target === "/sys");
  return [sys?.readonly, maskedPaths !== undefined];
};

describe("the root of a container (part: settings of the machine)", () => {
  it("a privileged container sees them open in a user namespace alone", () => {
    expect(plan(false, false)).toEqual([true, true]);
    expect(plan(true, false)).toEqual([false, false]);
    expect(plan(true, true)).toEqual([true, true]);
  });

  it("ids are the machine's without a user namespace", () => {
    expect(machinesIds("         0          0 4294967295\n")).toBe(true);
    expect(machinesIds("         0     100000      65536\n")).toBe(false);
  });
});
