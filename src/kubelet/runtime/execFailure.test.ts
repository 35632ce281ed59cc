import { describe, expect, it } from "vitest";
import { startFailure } from "./execFailure.ts";

describe("U02 an exec that cannot be started (part: upstream's words)", () => {
  it("says it as containerd and runc do", () => {
    expect(startFailure("ab", 'exec: "x": is a directory')).toBe(
      'failed to exec in container: failed to start exec "ab": OCI runtime exec failed: exec failed: unable to start container process: exec: "x": is a directory: unknown',
    );
  });
});
