import { expect, it } from "vitest";
import { machineCommand } from "./nsenter.ts";

/** More than the kernel ever gives (PID_MAX_LIMIT, 4 Mi). */
const NOBODY = 1 << 23;

it("a lab that has ended cannot be entered", () => {
  expect(() => machineCommand({ lab: NOBODY, machine: 1 }, 0)).toThrow(
    expect.objectContaining({ code: "Stopped", message: "the cluster has ended" }),
  );
});
