import { tmpdir } from "node:os";
import { describe, expect, it } from "vitest";
import { syncFilesystem } from "./sync.ts";

describe("syncfs", () => {
  it("is for paths that are there", () => {
    expect(syncFilesystem(tmpdir())).toBeUndefined();
    expect(() => syncFilesystem(`${tmpdir()}/nowhere/at/all`)).toThrow("ENOENT");
  });
});
