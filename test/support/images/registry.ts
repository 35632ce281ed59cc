import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Blob, BuiltImage } from "./build.ts";

/** Where Debian's package docker-registry is; undefined where it is not. */
export function findRegistry(): string | undefined {
  try {
    return execFileSync("sh", ["-c", "command -v docker-registry"], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}

/** Debian's docker-registry on a free port of loopback, with a folder of its own. */
export class Registry {
  readonly #process: ChildProcess;
  readonly #folder: string;
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly #authorization: string | undefined;

  private constructor(process: ChildProcess, folder: string, host: string, authorization: string | undefined) {
    this.#process = process;
    this.#folder = folder;
    this.host = host;
    this.#authorization = authorization;
  }

  /** Starts one. @param account name and password that it asks for; needs htpasswd's bcrypt line as well */
  static async start(account?: {
    readonly user: string;
    readonly password: string;
    readonly htpasswd: string;
  }): Promise<Registry> {
    const folder = mkdtempSync(join(tmpdir(), "pw-registry-"));
    chmodSync(folder, 0o755);
    const port = await freePort();
    const host = `127.0.0.1:${port}`;
    mkdirSync(join(folder, "data"));
    if (account) writeFileSync(join(folder, "htpasswd"), `${account.htpasswd}\n`);
    const auth = account ? `auth:\n  htpasswd:\n    realm: test\n    path: ${folder}/htpasswd\n` : "";
    const config = `version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: ${folder}/data\nhttp:\n  addr: ${host}\n${auth}`;
    writeFileSync(join(folder, "config.yml"), config);
    const child = spawn("docker-registry", ["serve", join(folder, "config.yml")], { stdio: "ignore" });
    const authorization = account && `Basic ${Buffer.from(`${account.user}:${account.password}`).toString("base64")}`;
    const registry = new Registry(child, folder, host, authorization);
    await registry.#answers();
    return registry;
  }

  /** Puts an image there. @returns its name */
  async push(repository: string, tag: string, image: BuiltImage): Promise<string> {
    for (const part of [image.config, ...image.layers]) await this.#upload(repository, part);
    await this.putManifest(repository, tag, image.manifest);
    return `${this.host}/${repository}:${tag}`;
  }

  /** Puts a manifest or an index there. */
  async putManifest(repository: string, tag: string, { bytes, mediaType }: Blob): Promise<void> {
    await this.#must(`/v2/${repository}/manifests/${tag}`, { method: "PUT", body: bytes, type: mediaType });
  }

  /** File of a blob in the registry's folder. */
  blobFile(digest: string): string {
    const hex = digest.slice("sha256:".length);
    return join(this.#folder, "data/docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
  }

  async stop(): Promise<void> {
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #upload(repository: string, { bytes, digest }: Blob): Promise<void> {
    const begun = await this.#must(`/v2/${repository}/blobs/uploads/`, { method: "POST" });
    const place = new URL(begun.headers.get("location") ?? "", `http://${this.host}`);
    place.searchParams.set("digest", digest);
    await this.#must(place.pathname + place.search, { method: "PUT", body: bytes, type: "application/octet-stream" });
  }

  async #must(path: string, request: { method: string; body?: Buffer; type?: string }): Promise<Response> {
    const headers = {
      ...(request.type ? { "content-type": request.type } : {}),
      ...(this.#authorization ? { authorization: this.#authorization } : {}),
    };
    const answer = await fetch(`http://${this.host}${path}`, {
      method: request.method,
      headers,
      ...(request.body ? { body: new Uint8Array(request.body) } : {}),
    });
    if (!answer.ok) throw new Error(`${request.method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  }

  async #answers(): Promise<void> {
    const until = Date.now() + 20_000;
    for (;;) {
      const answer = await fetch(`http://${this.host}/v2/`).catch(() => undefined);
      if (answer) return;
      if (Date.now() > until) throw new Error("docker-registry does not answer");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
