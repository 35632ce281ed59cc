import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { resolveInside } from "./resolve.ts";

describe("a path inside another root", () => {
  const root = mkdtempSync(join(tmpdir(), "podwire-resolve-"));
  mkdirSync(join(root, "var/lib"), { recursive: true });
  symlinkSync("/run", join(root, "var/run"));
  symlinkSync("../../../../../etc", join(root, "var/lib/up"));
  symlinkSync("loop", join(root, "loop"));
  afterAll(() => rmSync(root, { recursive: true }));

  it.each([
    ["/var/run/secrets/token", "/run/secrets/token"],
    ["/var/lib/up/passwd", "/etc/passwd"],
    ["/../../etc/shadow", "/etc/shadow"],
    ["/var/./lib//x/../y", "/var/lib/y"],
    ["/", ""],
  ])("%s is %s", (path, inside) => {
    expect(resolveInside(root, path)).toBe(root + inside);
  });

  it("does not follow links in circles", () => {
    expect(() => resolveInside(root, "/loop/x")).toThrow("too many symbolic links");
  });
});
