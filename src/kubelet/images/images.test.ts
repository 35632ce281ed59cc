import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ImageAnswer, ImagesState } from "#images/index.ts";
import { ClusterImages } from "./clusterImages.ts";
import { signalNumber } from "./signals.ts";
import type { ImageWish } from "./source.ts";
import { TemplateImages } from "./templates.ts";
import { imageUser } from "./users.ts";

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "pw-kimages-"));
});
afterEach(() => rmSync(base, { recursive: true }));

describe("the user of an image (image-spec config.md, User)", () => {
  const layer = (name: string, files: Readonly<Record<string, string>>): string => {
    const path = join(base, name);
    mkdirSync(join(path, "etc"), { recursive: true });
    for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
    return path;
  };
  const passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102::/home/web:/bin/sh\n";
  const group = "root:x:0:\nweb:x:102:\nextra:x:200:other,web\nstaff:x:50:\n";

  it.each([
    ["", { home: "/root" }],
    ["web", { home: "/home/web", user: { uid: 101, gid: 102, groups: [200], name: "web" } }],
    ["101", { home: "/home/web", user: { uid: 101, gid: 102, groups: [200] } }],
    ["web:staff", { home: "/home/web", user: { uid: 101, gid: 50, name: "web" } }],
    ["65534:7", { home: "/", user: { uid: 65_534, gid: 7 } }],
    ["1234", { home: "/", user: { uid: 1234, gid: 0 } }],
    ["0", { home: "/root", user: { uid: 0, gid: 0 } }],
  ])("%j", (text, expected) => {
    expect(imageUser(text, [layer("1", { "etc/passwd": passwd, "etc/group": group })])).toEqual(expected);
  });

  it("is looked for in the highest layer that says something, and never outside of it", () => {
    const low = layer("low", { "etc/passwd": passwd });
    const high = layer("high", { "etc/passwd": "web:x:7:7::/w:/bin/sh\n" });
    expect(imageUser("web", [low, high]).user?.uid).toBe(7);
    const link = layer("link", {});
    symlinkSync("/etc/passwd", join(link, "etc/passwd"));
    expect(() => imageUser("root", [link])).toThrow("unable to find user root: no matching entries in passwd file");
    const folder = join(base, "folder");
    mkdirSync(folder);
    symlinkSync("/etc", join(folder, "etc"));
    expect(() => imageUser("root", [low, folder])).toThrow("unable to find user root");
    expect(() => imageUser("web:nobody", [low])).toThrow(
      "unable to find group nobody: no matching entries in group file",
    );
  });
});

describe("the stop signal of an image", () => {
  it.each([
    ["SIGQUIT", 3],
    ["quit", 3],
    ["15", 15],
    ["SIGRTMIN+3", 37],
    ["SIGRTMAX-1", 63],
    ["0", undefined],
    ["SIGNOTHING", undefined],
    ["SIGRTMAX+1", undefined],
  ])("%s is %s", (text, expected) => expect(signalNumber(text)).toBe(expected));
});

describe("where a node's images come from", () => {
  let server: Server;
  let answer: ImageAnswer;
  let state: ImagesState;
  let asked: { image: string; policy: string; keyring: unknown }[];
  let pulling: number;
  let source: ClusterImages;
  beforeEach(async () => {
    asked = [];
    pulling = 0;
    state = { settings: { strict: false, templates: {} }, images: [{ names: ["a@sha256:1", "a:1"], sizeBytes: 5 }] };
    server = createServer(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += String(chunk);
      if (request.url === "/v1/state") return response.end(JSON.stringify(state));
      const wish = JSON.parse(body) as (typeof asked)[0];
      asked.push(wish);
      const absent: ImageAnswer = { ok: false, code: "NotPresent", message: "it is not here", present: false };
      response.end(JSON.stringify(wish.policy === "Never" ? absent : answer));
    });
    await new Promise<void>((resolve) => void server.listen(join(base, "s"), () => resolve()));
    const programs = { folder: "/opt/podwire", command: (p: string) => [`/opt/podwire/${p}`] };
    const templates = new TemplateImages({ programs, manyUsers: true });
    source = new ClusterImages({ socket: join(base, "s"), layers: "/layers" }, templates, () => undefined);
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });
  const keyring = { entries: [{ place: "reg", credentials: { username: "u", password: "p" } }] };
  const wish = (reference: string, policy: ImageWish["policy"] = "IfNotPresent"): ImageWish => ({
    reference,
    policy,
    keyring: () => Promise.resolve(keyring),
    onPulling: () => pulling++,
  });
  const unreachable: ImageAnswer = {
    ok: false,
    code: "Unreachable",
    message: "dial tcp: no such host",
    present: false,
  };

  it("is no registry for Podwire's own parts", async () => {
    const image = await source.pull(wish("podwire/toolbox", "Always"));
    expect(image.layers).toBeUndefined();
    expect((await source.pull(wish("registry.k8s.io/coredns/coredns:v1.12.0"))).entrypoint).toEqual(["/coredns"]);
    expect([asked, pulling]).toEqual([[], 0]);
  });

  it("is a registry, with the pod's credentials only when it is asked", async () => {
    const config = {
      platform: { os: "linux", architecture: "amd64" },
      diffIds: [],
      entrypoint: ["/entry"],
      cmd: ["arg"],
      env: [["A", "1"]] as const,
      workingDir: "/srv",
      user: "7:8",
      exposedPorts: [],
      stopSignal: "SIGQUIT",
    };
    const image = { name: "reg/a:1", imageId: "reg/a@sha256:1", layers: ["low", "high"], config, size: 123 };
    answer = { ok: true, image, pulled: { ms: 1200, withWaitingMs: 1500 } };
    expect(await source.pull(wish("reg/a:1"))).toMatchObject({
      id: "reg/a@sha256:1",
      layers: ["/layers/low", "/layers/high"],
      entrypoint: ["/entry"],
      cmd: ["arg"],
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/", A: "1" },
      workingDir: "/srv",
      user: { uid: 7, gid: 8 },
      stopSignal: 3,
      pulled: { ms: 1200, withWaitingMs: 1500, size: 123 },
    });
    expect(asked).toEqual([
      { image: "reg/a:1", policy: "Never", keyring: { entries: [] } },
      { image: "reg/a:1", policy: "IfNotPresent", keyring },
    ]);
    expect(pulling).toBe(1);
  });

  it("is a template when no registry answers and no image is there, and says so", async () => {
    answer = unreachable;
    const image = await source.pull(wish("busybox", "Always"));
    expect(image.notice?.message).toBe(
      `Image "busybox" is the template busybox over this machine's own files, not pulled from a registry: dial tcp: no such host`,
    );
    expect((await source.pull(wish("docker.io/library/busybox:1.36", "Never"))).notice?.reason).toBe("ImageTemplate");
    state = { ...state, settings: { strict: false, templates: { busybox: ["alpine:3", "reg/shell"] } } };
    expect((await source.pull(wish("alpine:latest", "Always"))).notice?.message).toContain("is the template busybox");
    expect((await source.pull(wish("reg/shell:9", "Always"))).notice?.message).toContain("is the template busybox");
  });

  it("is no template when a registry has answered, an image is there, or strict is set", async () => {
    const failed = (reference: string) => source.pull(wish(reference, "Always")).catch((error: unknown) => error);
    answer = { ok: false, code: "NotFound", message: "docker.io/library/busybox:latest: not found", present: false };
    expect(await failed("busybox")).toMatchObject({
      reason: "ErrImagePull",
      message: "rpc error: code = NotFound desc = docker.io/library/busybox:latest: not found",
    });
    answer = { ...unreachable, present: true };
    expect(await failed("busybox")).toMatchObject({ reason: "ErrImagePull" });
    answer = unreachable;
    expect(await failed("redis")).toMatchObject({ message: "rpc error: code = Unknown desc = dial tcp: no such host" });
    state = { ...state, settings: { strict: true, templates: {} } };
    expect(await failed("busybox")).toMatchObject({
      message: `rpc error: code = Unknown desc = dial tcp: no such host (the template busybox is turned off by "images: strict")`,
    });
    expect(await source.pull(wish("busybox", "Never")).catch((error: unknown) => error)).toMatchObject({
      reason: "ErrImageNeverPull",
      message: 'Container image "busybox" is not present with pull policy of Never',
    });
    // Its own parts are there all the same.
    expect((await source.pull(wish("podwire/echo"))).served).toBe("echo");
  });

  it("refuses what is no name in the kubelet's words", async () => {
    await expect(source.pull(wish("UPPER"))).rejects.toMatchObject({
      reason: "InvalidImageName",
      message: `Failed to apply default image tag "UPPER": couldn't parse image name "UPPER": invalid reference format: repository name (library/UPPER) must be lowercase`,
    });
  });

  it("is told to the node's status", async () => {
    await expect.poll(() => source.list()[0]).toEqual({ names: ["a@sha256:1", "a:1"], sizeBytes: 5 });
  });
});
