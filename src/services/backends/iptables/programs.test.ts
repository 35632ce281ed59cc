import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { openIptables } from "./programs.ts";

describe("programs of iptables", () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
  });

  /** A folder with programs of these flavours that say this version. */
  function folder(version: string, ...flavours: string[]): string {
    const path = mkdtempSync(join(tmpdir(), "pw-iptables-"));
    folders.push(path);
    for (const flavour of flavours) {
      for (const name of [flavour, flavour.replace("ip", "ip6")]) {
        for (const kind of ["", "-save", "-restore"]) {
          writeFileSync(
            join(path, name + kind),
            `#!/bin/sh\necho "iptables ${version}"; echo ${name}${kind} no >&2\nexit $(($# == 1 ? 0 : 4))\n`,
          );
          chmodSync(join(path, name + kind), 0o755);
        }
      }
    }
    return path;
  }

  it("none: says what is missing and what to do", () => {
    expect(() => openIptables({ path: folder("v1.8.9") })).toThrow(
      /needs iptables, iptables-save, iptables-restore, ip6tables, .* install the package iptables, or choose the mode nftables$/,
    );
  });

  it("too old: says which is needed and which it found", () => {
    const old = folder("v1.6.1", "iptables");
    expect(() => openIptables({ path: old })).toThrow("needs iptables 1.6.2: this is iptables v1.6.1");
  });

  it.each([
    ["the distribution's choice comes first", ["iptables-legacy", "iptables"], "iptables"],
    ["one flavour alone will do", ["iptables-legacy"], "iptables-legacy"],
  ])("%s", async (_, there, used) => {
    const iptables = openIptables({ path: `${folder("v1.8.9 (legacy)", ...there)}:/bin` });
    expect(iptables.version).toBe("iptables v1.8.9 (legacy)");
    await expect(iptables.restore(4, "x".repeat(1 << 20))).rejects.toThrow(
      `${used}-restore -w 5 --noflush: ${used}-restore no`,
    );
    await expect(iptables.hasChain(6, "nat", "X")).rejects.toThrow("ip6tables");
  });
});
