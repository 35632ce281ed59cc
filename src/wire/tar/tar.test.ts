import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { tarOf } from "#test/support/images/build.ts";
import { tarHeader } from "#test/support/images/tar.ts";
import { type TarEntry, TarError, TarReader } from "./index.ts";

interface Read extends TarEntry {
  readonly content: Buffer;
}

/** Reads an archive in pieces. */
function read(archive: Buffer, piece = archive.length || 1, limits?: { entries: number; extended: number }): Read[] {
  const found: { entry: TarEntry; parts: Buffer[] }[] = [];
  const reader = new TarReader(
    {
      entry: (entry) => found.push({ entry, parts: [] }),
      data: (chunk) => found.at(-1)?.parts.push(Buffer.from(chunk)),
      end: () => undefined,
    },
    limits,
  );
  for (let at = 0; at < archive.length; at += piece) reader.write(archive.subarray(at, at + piece));
  reader.end();
  return found.map(({ entry, parts }) => ({ ...entry, content: Buffer.concat(parts) }));
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pw-tar-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("tar archives", () => {
  it.each(["gnu", "posix", "ustar"])("of tar(1) in format %s are read as they were made", (format) => {
    const long = `deep/${"n".repeat(format === "ustar" ? 80 : 180)}`;
    mkdirSync(join(folder, "in/deep"), { recursive: true });
    writeFileSync(join(folder, "in", long), "content", { mode: 0o640 });
    symlinkSync("../target", join(folder, "in/link"));
    execFileSync("ln", [join(folder, "in", long), join(folder, "in/hard")]);
    const archive = execFileSync("tar", [
      "-C",
      join(folder, "in"),
      `--format=${format}`,
      "--sort=name",
      "-cf",
      "-",
      ".",
    ]);
    const entries = read(archive, 100);
    expect(entries.map(({ name, type }) => [name, type])).toEqual([
      ["./", "folder"],
      ["./deep/", "folder"],
      [`./${long}`, "file"],
      ["./hard", "link"],
      ["./link", "symlink"],
    ]);
    expect(entries[2]).toMatchObject({ mode: 0o640, size: 7, content: Buffer.from("content") });
    expect(entries[3]?.target).toBe(`./${long}`);
    expect(entries[4]?.target).toBe("../target");
  });

  it("keep bytes of attributes as they are, and large numbers", () => {
    const value = Buffer.from([1, 0, 0, 2, 0, 0xff, 0x80, 0x0a, 0x3d]);
    const [entry] = read(
      tarOf([
        {
          name: "short",
          content: "x",
          pax: { "SCHILY.xattr.security.capability": value, path: "päth", uid: "70000", mtime: "12.5" },
        },
      ]),
    );
    expect(entry).toMatchObject({ name: Buffer.from("päth").toString("latin1"), uid: 70_000, mtime: 12.5 });
    expect(entry?.xattrs["security.capability"]).toEqual(value);
    const big = tarHeader({ name: "big", size: 0 });
    big.fill(0, 108, 116);
    big.writeUInt8(0x80, 108);
    big.writeUInt32BE(3_000_000, 112);
    big.write(" ".repeat(8), 148, "latin1");
    big.write(
      `${big
        .reduce((a, b) => a + b, 0)
        .toString(8)
        .padStart(6, "0")}\0 `,
      148,
      "latin1",
    );
    expect(read(Buffer.concat([big, Buffer.alloc(1024)]))[0]?.uid).toBe(3_000_000);
  });

  it("are refused when they break off, lie, or hold what would not fit", () => {
    const whole = tarOf([{ name: "a", content: "x".repeat(1000) }]);
    expect(() => read(whole.subarray(0, 900))).toThrow("breaks off");
    const broken = Buffer.from(whole);
    broken[0] = 0x62;
    expect(() => read(broken)).toThrow("checksum");
    expect(() => read(tarOf([{ name: "s", pax: { "GNU.sparse.major": "1" } }]))).toThrow("sparse");
    expect(() => read(tarOf([{ name: "s", type: "S" }]))).toThrow("sparse");
    expect(() => read(tarOf([{ name: "q", type: "Q" }]))).toThrow("unknown type");
    expect(() => read(tarOf([{ name: "x", pax: { size: "-5" } }]))).toThrow("wrong size");
    expect(() =>
      read(tarOf([{ name: "x", pax: { comment: "c".repeat(500) } }]), 512, { entries: 10, extended: 400 }),
    ).toThrow("allowed are 400");
    const many = tarOf(Array.from({ length: 11 }, (_, i) => ({ name: `f${i}` })));
    expect(() => read(many, 512, { entries: 10, extended: 400 })).toThrow("more than 10 entries");
  });

  it("give the same whatever the pieces, and nothing but TarError for any change of bytes", () => {
    const archive = tarOf([
      { name: "a/", type: "5" },
      { name: "a/b", content: "content", pax: { "SCHILY.xattr.user.x": "y" } },
      { name: "l", type: "2", target: "a/b" },
    ]);
    const expected = read(archive);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), (piece) => {
        expect(read(archive, piece)).toEqual(expected);
      }),
      { seed: 1 },
    );
    const change = fc.array(fc.tuple(fc.nat(archive.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(change, fc.integer({ min: 1, max: 2000 }), (changes, piece) => {
        const changed = Buffer.from(archive);
        for (const [at, value] of changes) changed[at] = value;
        try {
          read(changed, piece);
        } catch (error) {
          expect(error).toBeInstanceOf(TarError);
        }
      }),
      { seed: 1 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4096 }), (bytes) => {
        try {
          read(Buffer.from(bytes), 512);
        } catch (error) {
          expect(error).toBeInstanceOf(TarError);
        }
      }),
      { seed: 1 },
    );
  });
});
