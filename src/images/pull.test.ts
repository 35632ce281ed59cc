import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  type BuiltImage,
  blob,
  buildImage,
  buildIndex,
  dockerArchive,
  tarOf,
  writeLayout,
} from "#test/support/images/build.ts";
import { plainKeeper } from "#test/support/images/keeper.ts";
import { findRegistry, Registry } from "#test/support/images/registry.ts";
import {
  type ImageSettings,
  ImageStore,
  isFault,
  type Keyring,
  loadImages,
  type Progress,
  Puller,
  Pulls,
} from "./index.ts";
import { defaultHttpOptions } from "./registry/index.ts";

const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const image = (content: string, packing: "none" | "gzip" | "zstd" = "gzip"): BuiltImage =>
  buildImage(
    [{ files: [{ name: "base", content: "base", ...own }] }, { files: [{ name: "file", content, ...own }], packing }],
    {
      Cmd: ["/file"],
    },
  );
const nobody: Keyring = { entries: [] };

let base: string;
let store: ImageStore;
let pullers: Puller[];
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "pw-images-"));
  store = ImageStore.open(join(base, "store"));
  pullers = [];
});
afterEach(() => {
  for (const puller of pullers) puller.close();
  rmSync(base, { recursive: true });
});

/** Pulls with settings. */
function pull(name: string, settings: Partial<ImageSettings> = {}, keyring = nobody, env: NodeJS.ProcessEnv = {}) {
  const all = { mirrors: {}, insecure: [], ...settings };
  const puller = new Puller({ settings: all, http: { ...defaultHttpOptions, env, connectMs: 2000, idleMs: 2000 } });
  pullers.push(puller);
  const seen: Progress[] = [];
  const to = { store, keeper: plainKeeper(store), onProgress: (progress: Progress) => seen.push(progress) };
  return puller.pull(name, keyring, to).then((record) => ({ record, seen }));
}

const contents = (name: string, record: { layers: readonly { diffId: string }[] }) =>
  record.layers
    .map(({ diffId }) => join(store.layout.layer(diffId), name))
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path, "utf8"));
const leftovers = () => [...readdirSync(store.layout.partial), ...readdirSync(store.layout.blobs)];

const needsRegistry = findRegistry() ? {} : { skip: true, meta: { skipReason: "docker-registry is not installed" } };

describe("pulls from Debian's docker-registry", needsRegistry, () => {
  let registry: Registry;
  beforeAll(async () => {
    registry = await Registry.start();
  });
  afterAll(() => registry?.stop());
  const insecure = () => ({ insecure: [registry.host] });

  it("bring every packing, once", async () => {
    for (const packing of ["none", "gzip", "zstd"] as const) {
      const name = await registry.push("a/app", packing, image(packing, packing));
      const { record, seen } = await pull(name, insecure());
      expect(contents("file", record)).toEqual([packing]);
      expect(record.name).toBe(name);
      expect(new Set(seen.map(({ state }) => state))).toContain("done");
    }
    const again = await pull(`${registry.host}/a/app:gzip`, insecure());
    expect(new Set(again.seen.map(({ state }) => state))).toEqual(new Set(["exists"]));
    expect(readdirSync(store.layout.layers)).toHaveLength(4);
  });

  it("choose this machine's image of an index, and take a digest for a name", async () => {
    const [mine, other] = [image("mine"), image("other")];
    await registry.push("multi", "mine", mine);
    await registry.push("multi", "other", other);
    const here = process.arch === "arm64" ? "arm64" : "amd64";
    const index = buildIndex([
      { image: other, architecture: here === "arm64" ? "amd64" : "arm64" },
      { image: mine, architecture: here },
    ]);
    await registry.putManifest("multi", "latest", index);
    const { record } = await pull(`${registry.host}/multi`, insecure());
    expect([record.digest, record.manifest, record.name]).toEqual([
      index.digest,
      mine.manifest.digest,
      `${registry.host}/multi:latest`,
    ]);
    const byDigest = await pull(`${registry.host}/multi@${mine.manifest.digest}`, insecure());
    expect(byDigest.record.id).toBe(record.id);
    const foreign = buildIndex([{ image: other, architecture: "s390x" }]);
    await registry.putManifest("multi", "foreign", foreign);
    await expect(pull(`${registry.host}/multi:foreign`, insecure())).rejects.toThrow(
      "no match for platform in manifest",
    );
  });

  it("say in containerd's words that there is no such image, or no way to speak with the registry", async () => {
    const name = `${registry.host}/nope:1`;
    await expect(pull(name, insecure())).rejects.toThrow(
      `failed to pull and unpack image "${name}": failed to resolve reference "${name}": ${name}: not found`,
    );
    await expect(pull(name)).rejects.toThrow("http: server gave HTTP response to HTTPS client");
  });

  it("refuse a blob that is not what its digest says, and keep nothing of it", async () => {
    const forged = image("honest content");
    const name = await registry.push("forged", "1", forged);
    const layer = forged.layers[1]?.digest ?? "";
    const file = registry.blobFile(layer);
    const bytes = readFileSync(file);
    writeFileSync(file, Buffer.concat([bytes.subarray(0, -1), Buffer.of((bytes.at(-1) ?? 0) ^ 1)]));
    await expect(pull(name, insecure())).rejects.toThrow(
      new RegExp(`unexpected commit digest sha256:[0-9a-f]{64}, expected ${layer}`),
    );
    expect(leftovers().some((entry) => layer.endsWith(entry))).toBe(false);
    expect(readdirSync(store.layout.partial)).toEqual([]);
    truncateSync(file, 10);
    await expect(pull(name, insecure())).rejects.toThrow();
    expect(store.records.list()).toEqual([]);
  });

  it("refuse a bomb by its entry, and leave no layer of it", async () => {
    const device = buildImage([{ files: [{ name: "dev/sda", type: "4", ...own }] }]);
    const name = await registry.push("device", "1", device);
    await expect(pull(name, insecure())).rejects.toThrow('archive entry "dev/sda": it is a block device');
    const ids = buildImage(
      [{ tar: tarOf([{ name: "a", ...own }]) }],
      {},
      { rootfs: { diff_ids: [`sha256:${"0".repeat(64)}`] } },
    );
    await expect(pull(await registry.push("diff", "1", ids), insecure())).rejects.toThrow("wrong diff id");
    expect(existsSync(store.layout.layers) ? readdirSync(store.layout.layers) : []).toEqual([]);
  });

  it("go to mirrors first, and to the registry when those have nothing", async () => {
    await registry.push("library/thing", "1", image("from the mirror"));
    const mirrors = { "docker.io": [`http://127.0.0.1:1`, `http://${registry.host}`] };
    const { record } = await pull("thing:1", { mirrors });
    expect([record.name, contents("file", record)[0]]).toEqual(["docker.io/library/thing:1", "from the mirror"]);
  });

  it("take what is pulled at the same time once, and give it out to nodes", async () => {
    const name = await registry.push("nodes", "1", image("for nodes"));
    const uses = await store.use("test");
    const settings = { strict: false, mirrors: {}, insecure: [registry.host], templates: {} };
    const puller = new Puller({ settings });
    pullers.push(puller);
    const pulls = new Pulls({ store, keeper: plainKeeper(store), puller, settings, uses });
    expect(await pulls.answer({ image: name, policy: "Never", keyring: nobody })).toMatchObject({
      ok: false,
      code: "NotPresent",
    });
    const request = { image: name, policy: "IfNotPresent", keyring: nobody } as const;
    const [one, two] = await Promise.all([pulls.answer(request), pulls.answer(request)]);
    expect(one).toBe(two);
    expect(one).toMatchObject({
      ok: true,
      image: { imageId: expect.stringMatching(/^127.0.0.1:\d+\/nodes@sha256:/), config: { cmd: ["/file"] } },
    });
    expect("pulled" in one).toBe(true);
    expect("pulled" in (await pulls.answer(request))).toBe(false);
    expect(pulls.state().images[0]?.names).toContain(name);
    // Neither by its name nor by prune while the cluster runs.
    const keeper = plainKeeper(store);
    await expect(store.remove([name], keeper)).rejects.toThrow("in use by the running cluster test");
    expect((await store.prune(true, keeper)).layers).toBe(0);
    uses.end();
    const removed = await store.prune(true, keeper);
    expect(removed).toMatchObject({ images: [name], layers: 2 });
    expect(leftovers()).toEqual([]);
    expect(readdirSync(store.layout.layers)).toEqual([]);
  });

  it("leave what another image needs when one is removed", async () => {
    const [first, second] = [await registry.push("one", "1", image("1")), await registry.push("two", "1", image("2"))];
    await pull(first, insecure());
    const { record } = await pull(second, insecure());
    const removed = await store.remove([first], plainKeeper(store));
    expect(removed).toMatchObject({ images: [first], layers: 1 });
    expect(store.isWhole(record)).toBe(true);
    expect(store.lookup(record.id.slice(7, 19)).map(({ name }) => name)).toEqual([second]);
    expect(() => store.lookup(first)).toThrow("no image");
  });
});

describe("a registry that wants a name and a password", needsRegistry, () => {
  // htpasswd -nbB user secret (apache2-utils)
  const htpasswd = "user:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
  let registry: Registry;
  beforeAll(async () => {
    registry = await Registry.start({ user: "user", password: "secret", htpasswd });
  });
  afterAll(() => registry?.stop());

  it("gets them from the keyring, tries each, and is not believed without", async () => {
    const name = await registry.push("private", "1", image("private"));
    const insecure = { insecure: [registry.host] };
    const entry = (password: string) => ({ place: registry.host, credentials: { username: "user", password } });
    await expect(pull(name, insecure)).rejects.toThrow("no basic auth credentials");
    await expect(pull(name, insecure, { entries: [entry("wrong")] })).rejects.toThrow("pull access denied");
    await expect(pull(name, insecure, { entries: [{ ...entry("secret"), place: "other:5000" }] })).rejects.toThrow(
      "pull access denied",
    );
    const { record } = await pull(name, insecure, { entries: [entry("wrong"), entry("secret")] });
    expect(contents("file", record)).toEqual(["private"]);
  });
});

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

describe("pulls from places that behave in other ways", () => {
  let servers: Server[];
  beforeEach(() => {
    servers = [];
  });
  afterEach(() => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
  });
  /** Serves an image, unless `other` answers. @returns its host */
  async function serve(
    built: BuiltImage,
    other: (request: IncomingMessage, response: ServerResponse) => boolean,
  ): Promise<string> {
    const blobs = new Map([built.config, ...built.layers].map((part) => [part.digest, part.bytes]));
    return listen((request, response) => {
      if (other(request, response)) return;
      const [, what, which] = /\/(manifests|blobs)\/([^?]+)/.exec(request.url ?? "") ?? [];
      const bytes = what === "manifests" ? built.manifest.bytes : blobs.get(which ?? "");
      response.writeHead(bytes ? 200 : 404).end(bytes);
    });
  }
  function listen(handler: Handler): Promise<string> {
    const server = createHttp(handler);
    servers.push(server);
    return new Promise((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve(`127.0.0.1:${(server.address() as { port: number }).port}`));
    });
  }

  it("get a token where the registry says, with the keyring's name, and send it there alone", async () => {
    const heard: string[] = [];
    const tokens = await listen((request, response) => {
      heard.push(`${request.url} ${request.headers.authorization}`);
      response.end(JSON.stringify({ token: "t0ken", expires_in: 300 }));
    });
    const elsewhere: (string | undefined)[] = [];
    const built = image("by token");
    const cdn = await serve(built, (request) => {
      elsewhere.push(request.headers.authorization);
      return false;
    });
    const host = await serve(built, (request, response) => {
      if (request.headers.authorization !== "Bearer t0ken") {
        const challenge = `Bearer realm="http://${tokens}/token",service="reg"`;
        response.writeHead(401, { "www-authenticate": challenge }).end();
        return true;
      }
      if (!request.url?.includes("/blobs/")) return false;
      response.writeHead(307, { location: `http://${cdn}${request.url}` }).end();
      return true;
    });
    const entries = [{ place: host, credentials: { username: "u", password: "p" } }];
    const { record } = await pull(`${host}/app:1`, { insecure: [host] }, { entries });
    expect(contents("file", record)).toEqual(["by token"]);
    expect(heard).toEqual([
      `/token?service=reg&scope=repository%3Aapp%3Apull Basic ${Buffer.from("u:p").toString("base64")}`,
    ]);
    expect(elsewhere).toEqual([undefined, undefined, undefined]);
  });

  it("go on with a blob where its connection broke", async () => {
    const content = Buffer.alloc(300_000, "0123456789abcdef");
    const built = buildImage([{ files: [{ name: "file", content, ...own }], packing: "none" }]);
    const layer = built.layers[0]?.bytes ?? Buffer.alloc(0);
    const ranges: (string | undefined)[] = [];
    const host = await serve(built, (request, response) => {
      if (!request.url?.endsWith(built.layers[0]?.digest ?? "")) return false;
      ranges.push(request.headers.range);
      const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
      response.writeHead(from > 0 ? 206 : 200, { "content-length": layer.length - from });
      if (ranges.length > 2) response.end(layer.subarray(from));
      else response.write(layer.subarray(from, from + 100_000), () => response.destroy());
      return true;
    });
    const { record } = await pull(`${host}/app:1`, { insecure: [host] });
    expect(contents("file", record)).toEqual([content.toString()]);
    expect(ranges[0]).toBeUndefined();
    expect(ranges.at(-1)).toMatch(/^bytes=\d+-$/);
  });

  it("refuse a manifest that is not what its digest says, an endless one, and one without end of redirects", async () => {
    const built = image("x");
    const lying = await serve(built, (_, response) => {
      response.setHeader("docker-content-digest", `sha256:${"0".repeat(64)}`);
      return false;
    });
    await expect(pull(`${lying}/app:1`, { insecure: [lying] })).rejects.toThrow("unexpected commit digest");
    await expect(pull(`${lying}/app@sha256:${"1".repeat(64)}`, { insecure: [lying] })).rejects.toThrow(
      "unexpected commit digest",
    );
    const endless = await listen((_, response) => {
      const more = () => response.write(Buffer.alloc(1 << 20, " "), () => response.destroyed || more());
      more();
    });
    await expect(pull(`${endless}/app:1`, { insecure: [endless] })).rejects.toThrow("has more than 4194304 bytes");
    const turning = await listen((request, response) => response.writeHead(302, { location: request.url ?? "" }).end());
    await expect(pull(`${turning}/app:1`, { insecure: [turning] })).rejects.toThrow("stopped after 5 redirects");
    const longer = await serve(built, (request, response) => {
      if (!request.url?.endsWith(built.layers[1]?.digest ?? "")) return false;
      response.end(Buffer.concat([built.layers[1]?.bytes ?? Buffer.alloc(0), Buffer.alloc(10)]));
      return true;
    });
    await expect(pull(`${longer}/app:1`, { insecure: [longer] })).rejects.toThrow("has more than the");
  });

  it("fail at once where nobody listens, and soon where nobody answers", async () => {
    await expect(pull("127.0.0.1:1/app:1")).rejects.toThrow("dial tcp 127.0.0.1:1: connect: connection refused");
    await expect(pull("nowhere.invalid/app:1")).rejects.toThrow(
      /lookup nowhere\.invalid: (no such host|server misbehaving)/,
    );
    const sockets: Socket[] = [];
    const mute = createServer((socket) => sockets.push(socket));
    await new Promise<void>((resolve) => void mute.listen(0, "127.0.0.1", () => resolve()));
    const host = `127.0.0.1:${(mute.address() as { port: number }).port}`;
    const error = await pull(`${host}/app:1`, { insecure: [host] }).catch((e: unknown) => e);
    expect(isFault(error, "Unreachable")).toBe(true);
    for (const socket of sockets) socket.destroy();
    mute.close();
  });

  it("go through the proxy that the environment names, but for hosts that it leaves out", async () => {
    const built = image("through a proxy");
    const host = await serve(built, () => false);
    const port = Number(host.split(":")[1]);
    const asked: string[] = [];
    const proxy = await listen((request, response) => {
      asked.push(request.url ?? "");
      const { pathname, search } = new URL(request.url ?? "");
      const upstream = connect(port, "127.0.0.1", () => upstream.write(`GET ${pathname}${search} HTTP/1.0\r\n\r\n`));
      response.socket && upstream.pipe(response.socket);
    });
    const insecure = { insecure: ["registry.test"] };
    const { record } = await pull("registry.test/app:1", insecure, nobody, { HTTP_PROXY: `http://${proxy}` });
    expect(contents("file", record)).toEqual(["through a proxy"]);
    expect(asked[0]).toBe("http://registry.test/v2/app/manifests/1");
    asked.length = 0;
    await pull(`${host}/app:1`, { insecure: [host] }, nobody, { HTTP_PROXY: `http://${proxy}`, NO_PROXY: "127.0.0.1" });
    expect(asked).toEqual([]);
  });

  it("ask for no token where it would go over an open wire", async () => {
    const built = image("x");
    const secure = await serve(built, () => false);
    const { Authorizer } = await import("./registry/auth.ts");
    const { Http } = await import("./registry/index.ts");
    const http = new Http();
    const authorizer = new Authorizer(http, undefined, false);
    await expect(authorizer.answer(`Bearer realm="http://${secure}/token"`, "s")).rejects.toThrow(
      "which is not secure",
    );
    http.close();
  });
});

describe("archives of images", () => {
  const load = (path: string, name?: string) => loadImages(path, name, { store, keeper: plainKeeper(store) });
  const built = image("from a file");

  it("as OCI layouts, in a folder or a tar, packed or not", async () => {
    writeLayout(join(base, "layout"), built, "docker.io/library/app:1");
    const [record] = await load(join(base, "layout"));
    expect([record?.name, record?.id]).toEqual(["docker.io/library/app:1", built.config.digest]);
    const { execFileSync } = await import("node:child_process");
    execFileSync("tar", ["-C", join(base, "layout"), "-czf", join(base, "layout.tgz"), "."]);
    expect((await load(join(base, "layout.tgz"), "other:2"))[0]?.name).toBe("docker.io/library/other:2");
    expect(store.find({ registry: "docker.io", repository: "library/app", tag: "1" })?.id).toBe(built.config.digest);
    expect(readdirSync(store.layout.partial)).toEqual([]);
  });

  it("of docker save, under all their names", async () => {
    const layers = [[{ name: "file", content: "docker", ...own }]];
    writeFileSync(join(base, "save.tar"), dockerArchive(layers, { Cmd: ["/file"] }, ["app:1", "localhost:5000/app:2"]));
    const records = await load(join(base, "save.tar"));
    expect(records.map(({ name }) => name)).toEqual(["docker.io/library/app:1", "localhost:5000/app:2"]);
    expect(contents("file", records[0] as (typeof records)[0])).toEqual(["docker"]);
  });

  it("are refused without a name, in the wrong form, or with a forged part", async () => {
    writeLayout(join(base, "nameless"), built, "v1");
    await expect(load(join(base, "nameless"))).rejects.toThrow('no name but the tag "v1"; give one by --name');
    writeFileSync(join(base, "text"), "no archive at all");
    await expect(load(join(base, "text"))).rejects.toThrow("it is no image archive");
    await expect(load(join(base, "missing"))).rejects.toThrow("no such file or directory");
    writeFileSync(join(base, "empty.tar"), tarOf([{ name: "a" }]));
    await expect(load(join(base, "empty.tar"))).rejects.toThrow("neither an OCI layout");
    const forged = {
      ...built,
      layers: [
        built.layers[0] ?? blob(Buffer.alloc(0), ""),
        { ...(built.layers[1] ?? blob(Buffer.alloc(0), "")), bytes: Buffer.alloc(built.layers[1]?.bytes.length ?? 0) },
      ],
    };
    writeLayout(join(base, "forged"), forged, "app:1");
    await expect(load(join(base, "forged"))).rejects.toThrow("unexpected commit digest");
    expect(store.records.list()).toEqual([]);
  });
});
