import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { buildImage, digestOf, type LayerFile } from "#test/support/images/build.ts";
import { plainKeeper } from "#test/support/images/keeper.ts";
import { ImageStore } from "./index.ts";

const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const FILES = 40;
/** A layer of files that hardly compress, and each of a known content. */
const layer = (name: string): LayerFile[] =>
  Array.from({ length: FILES }, (_, i) => ({
    name: `${name}${i}`,
    content: digestOf(Buffer.from(`${name}${i}`)).repeat(300),
    ...own,
  }));
const image = buildImage([
  { files: layer("a") },
  { files: layer("b"), packing: "zstd" },
  { files: layer("c"), packing: "none" },
]);
const PROGRAM = new URL("../../test/support/images/pullProgram.ts", import.meta.url).pathname;

let base: string;
let server: Server;
let host: string;
/** Bytes given out so far, and who wants to know. */
let given: number;
let onGiven: () => void;
beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), "pw-kill-"));
  given = 0;
  onGiven = () => undefined;
  const blobs = new Map([image.manifest, image.config, ...image.layers].map((part) => [part.digest, part.bytes]));
  server = createServer((request, response) => {
    const which = /\/(?:manifests|blobs)\/([^?]+)/.exec(request.url ?? "")?.[1] ?? "";
    const bytes = which === "1" ? image.manifest.bytes : blobs.get(which);
    const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    response.writeHead(!bytes ? 404 : from > 0 ? 206 : 200);
    // In small pieces, so that there is a middle to be killed in.
    const send = (at: number): void => {
      if (!bytes || at >= bytes.length) return void response.end();
      const piece = bytes.subarray(at, at + 8192);
      given += piece.length;
      onGiven();
      response.write(piece, (error) => error ?? setImmediate(() => send(at + piece.length)));
    };
    send(from);
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", () => resolve()));
  host = `127.0.0.1:${(server.address() as { port: number }).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(base, { recursive: true });
});

const pull = (): ChildProcess =>
  spawn(process.execPath, [PROGRAM, join(base, "store"), host, `${host}/app:1`], {
    stdio: ["ignore", "ignore", "inherit"],
  });

/** What is in a store is whole: blobs by their digest, layers by their files. */
function expectWhole(store: ImageStore): void {
  for (const name of readdirSync(store.layout.blobs))
    expect(digestOf(readFileSync(join(store.layout.blobs, name)))).toBe(`sha256:${name}`);
  const layers = join(store.layout.lab, "layers");
  let names: string[] = [];
  try {
    names = readdirSync(layers);
  } catch {
    // Nothing was unpacked yet.
  }
  for (const name of names) {
    const files = readdirSync(join(layers, name));
    expect(files).toHaveLength(FILES);
    for (const file of files)
      expect(readFileSync(join(layers, name, file), "utf8")).toBe(digestOf(Buffer.from(file)).repeat(300));
  }
  for (const record of store.records.list()) expect(store.isWhole(record)).toBe(true);
}

describe("a store whose writers are killed", () => {
  it("has nothing half in it, whenever that was, and prune removes what they left", async () => {
    const total = [image.manifest, image.config, ...image.layers].reduce((sum, part) => sum + part.bytes.length, 0);
    for (const share of [0.05, 0.3, 0.5, 0.7, 0.9, 0.99, 1]) {
      const child = pull();
      const gone = once(child, "exit");
      const already = given;
      // What one run has brought the next need not fetch: its end comes first then.
      onGiven = () => given - already >= share * total && child.kill("SIGKILL");
      await gone;
      expectWhole(ImageStore.open(join(base, "store")));
    }
    onGiven = () => undefined;
    const [code] = (await once(pull(), "exit")) as [number];
    expect(code).toBe(0);
    const store = ImageStore.open(join(base, "store"));
    expectWhole(store);
    expect(store.records.list()).toHaveLength(1);
    await store.prune(false, plainKeeper(store));
    expect(readdirSync(store.layout.partial)).toEqual([]);
    expect(readdirSync(store.layout.blobs)).toHaveLength(2 + image.layers.length);
    // The folders of what is on its way may be there; nothing is in them.
    for (const name of readdirSync(store.layout.lab).filter((folder) => folder !== "layers"))
      expect(readdirSync(join(store.layout.lab, name))).toEqual([]);
  }, 60_000);

  it("serves several processes at the same time, and is not pruned meanwhile", async () => {
    const children = [pull(), pull(), pull()];
    const ends = children.map((child) => once(child, "exit"));
    const store = ImageStore.open(join(base, "store"));
    await new Promise<void>((resolve) => {
      onGiven = resolve;
    });
    const pruned = store.prune(true, plainKeeper(store)).catch((error: unknown) => error);
    for (const end of ends) expect(((await end) as [number])[0]).toBe(0);
    expectWhole(store);
    await pruned;
  }, 60_000);
});
