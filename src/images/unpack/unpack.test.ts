import { execFileSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { digestOf, folder, type LayerFile, tarOf } from "#test/support/images/build.ts";
import { defaultLimits, type LayerLimits, unpackLayer } from "./index.ts";
import { ownersHere } from "./owners.ts";

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "pw-unpack-"));
});
afterEach(() => rmSync(base, { recursive: true }));

const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
/** Files belong to whoever runs the test, unless they say other. */
const owned = (files: readonly LayerFile[]) => files.map((file) => ({ ...own, ...file }));

async function unpack(
  files: readonly LayerFile[],
  how: { limits?: Partial<LayerLimits>; packing?: "none" | "gzip" | "zstd"; diffId?: string } = {},
): Promise<string> {
  const tar = tarOf(owned(files));
  const packing = how.packing ?? "none";
  const bytes = packing === "gzip" ? gzipSync(tar) : packing === "zstd" ? zstdCompressSync(tar) : tar;
  writeFileSync(join(base, "layer"), bytes);
  const target = join(base, "out");
  const request = { file: join(base, "layer"), packing, diffId: how.diffId ?? digestOf(tar), folder: target };
  await unpackLayer(request, { ...defaultLimits, ...how.limits });
  return target;
}

const xattr = (path: string, name: string) =>
  execFileSync("python3", ["-c", "import os,sys; print(os.getxattr(sys.argv[1], sys.argv[2]).hex())", path, name], {
    encoding: "utf8",
  }).trim();

describe("layers of images", () => {
  it.each(["none", "gzip", "zstd"] as const)(
    "packed by %s are unpacked with modes, times, links and holes",
    async (packing) => {
      const out = await unpack(
        [
          folder("d", { mode: 0o750, mtime: 1000 }),
          { name: "d/file", content: "content", mode: 0o4755, mtime: 2000 },
          { name: "./d/hard", type: "1", target: "d/file" },
          { name: "abs", type: "2", target: "/etc/passwd" },
          { name: "deep/er/empty", content: "" },
          { name: "fifo", type: "6", mode: 0o600 },
          { name: "d/.wh.gone" },
          folder("opaque"),
          { name: "opaque/.wh..wh..opq" },
          { name: ".wh..wh.plnk" },
        ],
        { packing },
      );
      const stat = (path: string) => lstatSync(join(out, path));
      expect(stat("d").mode & 0o7777).toBe(0o750);
      expect(stat("d").mtimeMs).toBe(1_000_000);
      expect(stat("d/file").mode & 0o7777).toBe(0o4755);
      expect(stat("d/file").mtimeMs).toBe(2_000_000);
      expect(stat("d/hard").ino).toBe(stat("d/file").ino);
      expect(readFileSync(join(out, "d/hard"), "utf8")).toBe("content");
      expect(readlinkSync(join(out, "abs"))).toBe("/etc/passwd");
      expect(stat("fifo").isFIFO()).toBe(true);
      expect(stat("deep/er").mode & 0o7777).toBe(0o755);
      // Overlayfs' own form (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories").
      expect([stat("d/gone").isCharacterDevice(), stat("d/gone").rdev]).toEqual([true, 0]);
      expect(Buffer.from(xattr(join(out, "opaque"), "user.overlay.opaque"), "hex").toString()).toBe("y");
      expect(readdirSync(out).sort()).toEqual(["abs", "d", "deep", "fifo", "opaque"]);
    },
  );

  it("replace what lower layers had: a folder in a hidden file's place hides what was below", async () => {
    const out = await unpack([
      { name: ".wh.a" },
      folder("a"),
      { name: "a/new", content: "n" },
      { name: "b", content: "b" },
      { name: ".wh.b" },
      { name: ".wh.c" },
      { name: "c/new", content: "n" },
    ]);
    for (const name of ["a", "c"])
      expect(Buffer.from(xattr(join(out, name), "user.overlay.opaque"), "hex").toString()).toBe("y");
    expect(readFileSync(join(out, "b"), "utf8")).toBe("b");
  });

  it.each<[string, LayerFile, string]>([
    ["..", { name: "../evil" }, '"../evil" leads out of the root by ".."'],
    ["..", { name: "a/../../evil" }, "leads out of the root"],
    ["an absolute hard link", { name: "l", type: "1", target: "/etc/passwd" }, "absolute link leaves the root"],
    ["a hard link by ..", { name: "l", type: "1", target: "../../etc/passwd" }, "leads out of the root"],
    ["a hard link to nothing", { name: "l", type: "1", target: "nothing" }, "no file of this layer"],
    ["a character device", { name: "dev/null", type: "3" }, '"dev/null": it is a character device'],
    ["a block device", { name: "dev/sda", type: "4" }, "it is a block device"],
    ["the root as a file", { name: "./", type: "2", target: "x" }, "takes the place of the root"],
    [".. in a pax header", { name: "x", pax: { path: "a/../../evil" } }, "leads out of the root"],
    [
      "an absolute hard link in a pax header",
      { name: "l", type: "1", target: "fine", pax: { linkpath: "/etc/passwd" } },
      "absolute link leaves the root",
    ],
    ["a hidden file out of the root", { name: "../.wh.evil" }, "leads out of the root"],
    ["an opaque folder out of the root", { name: "../.wh..wh..opq" }, "leads out of the root"],
    ["a sparse file of GNU's", { name: "s", type: "S" }, "sparse"],
    ["a sparse file of pax", { name: "s", pax: { "GNU.sparse.major": "1" } }, "sparse"],
    ["a hidden nothing", { name: ".wh." }, "hides nothing"],
    ["a hidden parent", { name: ".wh...", content: "" }, "hides nothing"],
  ])("with %s are refused by the entry's name, and leave nothing", async (_what, file, words) => {
    await expect(unpack([{ name: "fine", content: "x" }, file])).rejects.toThrow(words);
    expect(existsSync(join(base, "out"))).toBe(false);
    expect(existsSync(join(base, "evil"))).toBe(false);
  });

  it.each<[string, string, string]>([
    ["an absolute link", "/etc", '"link", an absolute symbolic link'],
    ["a link that leaves the root", "../..", "leaves the root"],
  ])("are not written through %s", async (_what, target, words) => {
    const files = [
      { name: "link", type: "2", target },
      { name: "link/podwire-test", content: "evil" },
    ];
    await expect(unpack(files)).rejects.toThrow(`archive entry "link/podwire-test": it lies behind`);
    await expect(unpack(files)).rejects.toThrow(words);
    expect(existsSync("/etc/podwire-test")).toBe(false);
  });

  it("with names longer than a header has room for are unpacked, and refused alike", async () => {
    const long = `${"d".repeat(150)}/${"n".repeat(150)}`;
    // GNU's form: the name is the content of an entry before (tar's manual, "GNU tar and POSIX tar").
    const gnu = (name: string): LayerFile => ({ name: "././@LongLink", type: "L", content: `${name}\0` });
    const out = await unpack([gnu(long), { name: "short", content: "g" }]);
    expect(readFileSync(join(out, long), "utf8")).toBe("g");
    rmSync(out, { recursive: true });
    await unpack([{ name: "short", content: "p", pax: { path: long } }]);
    expect(readFileSync(join(out, long), "utf8")).toBe("p");
    rmSync(out, { recursive: true });
    await expect(unpack([gnu(`${"d".repeat(150)}/../../evil`), { name: "x", content: "e" }])).rejects.toThrow(
      "leads out of the root",
    );
    const link: LayerFile = { name: "././@LongLink", type: "K", content: `/${"t".repeat(150)}\0` };
    await expect(unpack([link, { name: "l", type: "1", target: "t" }])).rejects.toThrow(
      "absolute link leaves the root",
    );
    expect(existsSync(join(base, "evil"))).toBe(false);
  });

  it("do not hide or link anything through a link that leaves the root", async () => {
    const link = { name: "link", type: "2", target: ".." };
    for (const name of ["link/.wh..wh..opq", "link/.wh.layer"])
      await expect(unpack([link, { name }])).rejects.toThrow("leaves the root");
    await expect(unpack([link, { name: "hard", type: "1", target: "link/layer" }])).rejects.toThrow("leaves the root");
    expect(existsSync(join(base, "layer"))).toBe(true);
  });

  it("whose opaque mark comes last keep what they bring themselves", async () => {
    const out = await unpack([folder("o"), { name: "o/own", content: "x" }, { name: "o/.wh..wh..opq" }]);
    expect(readdirSync(join(out, "o"))).toEqual(["own"]);
    expect(Buffer.from(xattr(join(out, "o"), "user.overlay.opaque"), "hex").toString()).toBe("y");
  });

  it("follow a relative link of their own", async () => {
    const out = await unpack([
      folder("usr"),
      folder("usr/lib"),
      { name: "lib", type: "2", target: "usr/lib" },
      { name: "lib/x", content: "x" },
    ]);
    expect(readFileSync(join(out, "usr/lib/x"), "utf8")).toBe("x");
    expect(lstatSync(join(out, "lib")).isSymbolicLink()).toBe(true);
  });

  it("that are bombs are refused: by size, count, depth, and by what comes out of few bytes", async () => {
    const big = { name: "big", content: Buffer.alloc(4 * 1024 * 1024) };
    await expect(unpack([big], { limits: { bytes: 1024 * 1024 } })).rejects.toThrow(
      '"big": with it the layer has more than',
    );
    const many = Array.from({ length: 30 }, (_, i) => ({ name: `f${i}` }));
    await expect(unpack(many, { limits: { entries: 20 } })).rejects.toThrow("more than 20 entries");
    await expect(unpack([{ name: "a/b/c/d" }], { limits: { depth: 3 } })).rejects.toThrow("4 folders deep");
    await expect(unpack([{ name: "n", pax: { path: "x".repeat(300) } }])).rejects.toThrow("has 300 bytes");
    for (const packing of ["gzip", "zstd"] as const)
      await expect(unpack([big], { packing, limits: { ratio: 100, ratioFrom: 1024 * 1024 } })).rejects.toThrow(
        "that is no image",
      );
  });

  it("that are not what their digest says, or cannot be unpacked, are refused", async () => {
    await expect(unpack([{ name: "a" }], { diffId: `sha256:${"0".repeat(64)}` })).rejects.toThrow("wrong diff id");
    expect(existsSync(join(base, "out"))).toBe(false);
    for (const packing of ["gzip", "zstd"] as const) {
      writeFileSync(join(base, "bad"), Buffer.concat([gzipSync("x").subarray(0, 8), Buffer.alloc(100, 7)]));
      const request = {
        file: join(base, "bad"),
        packing,
        diffId: digestOf(Buffer.alloc(0)),
        folder: join(base, "out"),
      };
      await expect(unpackLayer(request)).rejects.toMatchObject({ code: "Refused" });
    }
  });

  it("keep programs' capabilities, and nothing that overlayfs would read as its own", async () => {
    // VFS_CAP_REVISION_2 with the effective bit, cap_net_bind_service (linux/capability.h).
    const capability = Buffer.from("0100000200040000000000000000000000000000", "hex");
    const pax = {
      ...(own.uid === 0 ? { "SCHILY.xattr.security.capability": capability } : {}),
      "SCHILY.xattr.user.mine": "1",
      "SCHILY.xattr.user.overlay.redirect": "/etc",
      "SCHILY.xattr.trusted.overlay.opaque": "y",
    };
    const out = await unpack([{ name: "f", content: "x", pax }]);
    const names = execFileSync(
      "python3",
      ["-c", "import os,sys; print(*sorted(os.listxattr(sys.argv[1])))", join(out, "f")],
      {
        encoding: "utf8",
      },
    ).trim();
    expect(names).toBe(own.uid === 0 ? "security.capability user.mine" : "user.mine");
  });

  it("of owners that are not there are refused; where there is one id alone, it owns all", async () => {
    const owners = ownersHere("         0       1000          1\n");
    expect(owners.single).toBe(true);
    expect(ownersHere("0 1000 1\n1 100000 65535\n").has(65_535)).toBe(true);
    expect(ownersHere("0 1000 1\n1 100000 65535\n").has(65_536)).toBe(false);
    const tar = tarOf([{ name: "a", uid: 70_000, gid: 0 }]);
    writeFileSync(join(base, "layer"), tar);
    const request = {
      file: join(base, "layer"),
      packing: "none",
      diffId: digestOf(tar),
      folder: join(base, "out"),
    } as const;
    await unpackLayer(request, defaultLimits, owners);
    expect(lstatSync(join(base, "out/a")).uid).toBe(own.uid);
    const few = { has: (id: number) => id < 65_536, single: false };
    await expect(unpackLayer(request, defaultLimits, few)).rejects.toThrow('"a": its owner 70000 is none of the ids');
  });

  it("never reach out of their folder, whatever their names and links", async () => {
    const part = fc.constantFrom("a", "b", "..", ".", "", "link", ".wh.a", ".wh..wh..opq", "a/b");
    const name = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
    const target = fc.constantFrom("..", "../..", "/", "a", "a/b", "link", "../canary");
    const file = fc.record({ name, type: fc.constantFrom("0", "1", "2", "5"), target });
    await fc.assert(
      fc.asyncProperty(fc.array(file, { maxLength: 8 }), async (files) => {
        writeFileSync(join(base, "canary"), "alive");
        try {
          // Who is not root could not clean up a folder that nobody may search.
          const mode = 0o755;
          await unpack(files.map((f) => ({ ...f, mode, name: f.name || "x", content: f.type === "0" ? "evil" : "" })));
        } catch (error) {
          expect(error).toMatchObject({ name: "ImageFault" });
        }
        expect(
          readdirSync(base)
            .filter((entry) => entry !== "out")
            .sort(),
        ).toEqual(["canary", "layer"]);
        expect(readFileSync(join(base, "canary"), "utf8")).toBe("alive");
      }),
      { seed: 1, numRuns: 150 },
    );
  });

  it("of zstd may not ask for more memory than any tool gives", async () => {
    // A frame with a window of 1 GiB and one empty block (RFC 8878 sections 3.1.1.1 and 3.1.1.2).
    writeFileSync(join(base, "layer"), Buffer.from("28b52ffd00a0010000", "hex"));
    const request = {
      file: join(base, "layer"),
      packing: "zstd",
      diffId: digestOf(Buffer.alloc(0)),
      folder: join(base, "out"),
    } as const;
    await expect(unpackLayer(request)).rejects.toThrow("cannot be unpacked");
  });
});
