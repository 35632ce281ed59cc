import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { Client, http2Transport, resources, type Transport } from "#api/index.ts";
import { type Pair, signingKey, TestAuthority } from "./certificates.ts";
import { watch } from "./client.ts";

const program = fileURLToPath(new URL("process.ts", import.meta.url));

interface Running {
  readonly client: Client;
  readonly transport: Transport;
  kill(): Promise<void>;
}

/** An API server in a process of its own that can be killed and started again on the same log. */
export class KilledServer {
  readonly #directory = mkdtempSync(join(tmpdir(), "podwire-killed-"));
  readonly #authority: TestAuthority;
  readonly #admin: Pair;

  private constructor(authority: TestAuthority, admin: Pair) {
    this.#authority = authority;
    this.#admin = admin;
  }

  static async create(): Promise<KilledServer> {
    const authority = await TestAuthority.create();
    const server = new KilledServer(authority, await authority.issue("admin", { organizations: ["system:masters"] }));
    const serving = await authority.issue("kube-apiserver", { ips: ["127.0.0.1"] });
    const files = { "ca.crt": authority.cert, "tls.crt": serving.cert, "tls.key": serving.key, "sa.key": signingKey() };
    for (const [name, text] of Object.entries(files))
      writeFileSync(join(server.#directory, name), text, { mode: 0o600 });
    return server;
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async start(): Promise<Running> {
    const child: ChildProcess = spawn(process.execPath, [program, this.#directory], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [first] = (await once(child.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
    const server = `https://127.0.0.1:${Number(first.toString())}`;
    const transport: Transport = http2Transport({ server, ca: this.#authority.cert, ...this.#admin });
    const kill = async () => {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
      await transport.close();
    };
    return { client: new Client(transport), transport, kill };
  }
}

interface Kept {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

const maps = "/api/v1/namespaces/default/configmaps";

/**
 * Kills a server in the middle of concurrent writes, several times: every acknowledged write is there afterwards,
 * resource versions only grow, and a watch from the last one seen goes on or is told to begin anew.
 */
export async function killRounds(server: KilledServer, rounds: number, writers: number): Promise<number> {
  const acknowledged = new Map<string, Kept>();
  let newest = 0;
  for (let round = 0; round < rounds; round++) {
    const { client, transport, kill } = await server.start();
    if (round > 0) await watchGoesOn(client, transport, newest);
    const writer = async (id: number) => {
      for (let i = 0; ; i++) {
        const name = `r${round}-${id}-${i}`;
        const draft = { metadata: { name, namespace: "default" }, data: { i: String(i) } };
        const made = await client.create(resources.configMaps, draft).catch(() => undefined);
        if (!made) return;
        const { uid, resourceVersion } = made.metadata;
        // What was there before the kill is never written over: this server's numbers begin behind it.
        if (i === 0) expect(Number(resourceVersion)).toBeGreaterThan(newest);
        acknowledged.set(name, { uid, resourceVersion });
      }
    };
    const all = Array.from({ length: writers }, (_, id) => writer(id));
    const before = acknowledged.size;
    await expect
      .poll(() => acknowledged.size, { interval: 1, timeout: 30_000 })
      .toBeGreaterThan(before + 50 + 20 * round);
    await kill();
    await Promise.all(all);
    newest = Math.max(...[...acknowledged.values()].map((kept) => Number(kept.resourceVersion)));
  }
  const { client, kill } = await server.start();
  const { items } = await client.list(resources.configMaps, { namespace: "default" });
  const found = new Map(items.map((o) => [o.metadata.name, o.metadata]));
  for (const [name, kept] of acknowledged) expect(found.get(name)).toMatchObject(kept);
  await kill();
  return acknowledged.size;
}

/** A watch from before the kill tells of what comes, or ends in 410. */
async function watchGoesOn(client: Client, transport: Transport, from: number): Promise<void> {
  const name = `watched-${from}`;
  const watcher = await watch(transport, `${maps}?watch=1&resourceVersion=${from}`);
  await client.create(resources.configMaps, { metadata: { name, namespace: "default" } });
  for (;;) {
    const event = await watcher.next();
    const { code } = event.object as unknown as { code?: number };
    if (event.type === "ERROR") expect(code).toBe(410);
    else expect(Number(event.object.metadata.resourceVersion)).toBeGreaterThan(from);
    if (event.type === "ERROR" || event.object.metadata.name === name) break;
  }
  await watcher.stop();
}
