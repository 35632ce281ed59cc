import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Client, http2Transport, resources, type Transport } from "#api/index.ts";
import { type Pair, signingKey, TestAuthority } from "./testing/certificates.ts";

const program = fileURLToPath(new URL("testing/process.ts", import.meta.url));

let directory: string;
let authority: TestAuthority;
let admin: Pair;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "podwire-killed-"));
  authority = await TestAuthority.create();
  admin = await authority.issue("admin", { organizations: ["system:masters"] });
  const serving = await authority.issue("kube-apiserver", { ips: ["127.0.0.1"] });
  const files = { "ca.crt": authority.cert, "tls.crt": serving.cert, "tls.key": serving.key, "sa.key": signingKey() };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text, { mode: 0o600 });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Running {
  readonly client: Client;
  kill(): Promise<void>;
}

async function start(): Promise<Running> {
  const child: ChildProcess = spawn(process.execPath, [program, directory], { stdio: ["ignore", "pipe", "inherit"] });
  const [first] = (await once(child.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
  const server = `https://127.0.0.1:${Number(first.toString())}`;
  const transport: Transport = http2Transport({ server, ca: authority.cert, ...admin });
  const kill = async () => {
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
    await transport.close();
  };
  return { client: new Client(transport), kill };
}

describe("API server killed under load (part of: a killed control plane returns with its objects)", () => {
  it("has every acknowledged object, uid and resource version again", { timeout: 60_000 }, async () => {
    const acknowledged = new Map<string, { uid?: string | undefined; resourceVersion?: string | undefined }>();
    for (let round = 0; round < 3; round++) {
      const { client, kill } = await start();
      const writer = async (id: number) => {
        for (let i = 0; ; i++) {
          const name = `r${round}-${id}-${i}`;
          const draft = { metadata: { name, namespace: "default" }, data: { i: String(i) } };
          const made = await client.create(resources.configMaps, draft).catch(() => undefined);
          if (!made) return;
          const { uid, resourceVersion } = made.metadata;
          acknowledged.set(name, { uid, resourceVersion });
        }
      };
      const writers = Array.from({ length: 8 }, (_, id) => writer(id));
      const before = acknowledged.size;
      await expect.poll(() => acknowledged.size, { interval: 1 }).toBeGreaterThan(before + 50 + 20 * round);
      await kill();
      await Promise.all(writers);
    }
    const { client, kill } = await start();
    const { items } = await client.list(resources.configMaps, { namespace: "default" });
    const found = new Map(items.map((o) => [o.metadata.name, o.metadata]));
    expect(acknowledged.size).toBeGreaterThan(100);
    for (const [name, kept] of acknowledged) expect(found.get(name)).toMatchObject(kept);
    await kill();
  });
});
