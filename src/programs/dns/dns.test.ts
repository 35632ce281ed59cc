import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Client, http2Transport, loadKubeconfig, resources } from "#api/index.ts";
import { startTestServer } from "#apiserver/testing/server.ts";
import { freePort, freePorts } from "#base/testing/ports.ts";
import { eventually, exchangeBytes, queryBytes } from "#dns/testing.ts";
import { decodeMessage, formatRecord, rcodeName } from "#wire/dns/index.ts";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));
let directory: string;
let child: ChildProcess;
let log = "";
let client: Client;
let api: Awaited<ReturnType<typeof startTestServer>>;
/** Below the five seconds for which a cache may keep a denial. */
const DENIAL_MS = 4000;
const ports = { dns: 0, health: 0, ready: 0 };

async function ask(question: string): Promise<string[]> {
  const bytes = await exchangeBytes(ports.dns, queryBytes(question));
  if (!bytes) return ["no answer"];
  const message = decodeMessage(bytes);
  return [rcodeName(message.rcode), ...message.answers.map(formatRecord)];
}

const status = async (port: number, path: string) =>
  await fetch(`http://127.0.0.1:${port}${path}`).then(
    (response) => response.status,
    () => 0,
  );

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "podwire-dns-"));
  api = await startTestServer();
  client = new Client(http2Transport(await loadKubeconfig(api.kubeconfig)));
  [ports.health = 0, ports.ready = 0, ports.dns = 0] = await freePorts(3);
  await writeFile(
    join(directory, "Corefile"),
    `. {
      errors
      health 127.0.0.1:${ports.health} {
        lameduck 2s
      }
      ready 127.0.0.1:${ports.ready}
      kubernetes cluster.local in-addr.arpa {
        kubeconfig ${api.kubeconfig}
        pods insecure
      }
      cache 30
      reload 2s 1s
    }`,
  );
  const argv = ["-conf", join(directory, "Corefile"), "-dns.port", String(ports.dns)];
  child = spawn(process.execPath, [main, ...argv], { stdio: ["ignore", "ignore", "pipe"] });
  child.stderr?.on("data", (data) => {
    log += String(data);
  });
  await eventually(async () => (await status(ports.ready, "/ready")) === 200);
}, 30_000);

afterAll(async () => {
  child.kill("SIGKILL");
  await client.transport.close();
  await api.stop();
  await rm(directory, { recursive: true });
});

describe("X01 podwire dns beside a Kubernetes API (part: program)", () => {
  it("resolves Services of the API, and new ones at once", async () => {
    expect(await ask("late.default.svc.cluster.local A")).toEqual(["NXDOMAIN"]);
    const made = await client.create(resources.services, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "late", namespace: "default" },
      spec: { ports: [{ name: "http", port: 80 }] },
    });
    await eventually(async () => (await ask("late.default.svc.cluster.local A")).length === 2, DENIAL_MS);
    expect((await ask("late.default.svc.cluster.local A"))[1]).toContain(`A ${made.spec.clusterIP}`);
    expect((await ask("_http._tcp.late.default.svc.cluster.local SRV"))[1]).toContain(
      "80 late.default.svc.cluster.local.",
    );
    await client.delete(resources.services, "late", "default");
    await eventually(async () => (await ask("late.default.svc.cluster.local A"))[0] === "NXDOMAIN", DENIAL_MS);
  });

  it("X04 reads a changed Corefile on SIGUSR1 without losing a query (part: signal)", async () => {
    const text = await readFile(join(directory, "Corefile"), "utf8");
    await writeFile(
      join(directory, "Corefile"),
      text.replace("reload 2s 1s", "hosts {\n 10.9.8.7 new.example\n fallthrough\n }"),
    );
    child.kill("SIGUSR1");
    await eventually(async () => {
      expect((await ask("dns-version.cluster.local TXT"))[0]).toBe("NOERROR");
      return (await ask("new.example A"))[0] === "NOERROR";
    });
  });

  it("goes on answering for the lameduck time after SIGTERM, then ends", async () => {
    const ended = once(child, "exit");
    const begin = Date.now();
    child.kill("SIGTERM");
    await eventually(() => log.includes("lameduck"));
    expect((await ask("dns-version.cluster.local TXT"))[0]).toBe("NOERROR");
    expect(await ended).toEqual([0, null]);
    expect(Date.now() - begin).toBeGreaterThanOrEqual(1990);
  });
});

describe("D06 a host made a DNS server with the Corefile of the notes (part: the server of pods)", () => {
  it("reads ./Corefile and answers from /etc/hosts", async () => {
    const here = await mkdtemp(join(tmpdir(), "podwire-dns-"));
    const port = await freePort();
    await writeFile(join(here, "Corefile"), ". {\n  hosts /etc/hosts\n}\n");
    const program = spawn(process.execPath, [main, "-dns.port", String(port)], { cwd: here, stdio: "ignore" });
    const asked = async () => await exchangeBytes(port, queryBytes("localhost A"), 200);
    await eventually(async () => (await asked()) !== undefined);
    expect(
      decodeMessage((await exchangeBytes(port, queryBytes("localhost A"))) as Uint8Array).answers.map(formatRecord)[0],
    ).toBe("localhost. 3600 IN A 127.0.0.1");
    const ended = once(program, "exit");
    program.kill("SIGINT");
    expect(await ended).toEqual([0, null]);
    await rm(here, { recursive: true });
  });

  it("reads standard input, passes over SIGHUP, and takes its pid file away", async () => {
    const here = await mkdtemp(join(tmpdir(), "podwire-dns-"));
    const [port, health] = await freePorts(2);
    const pidfile = join(here, "pid");
    const argv = [main, "-conf", "stdin", "-pidfile", pidfile];
    const program = spawn(process.execPath, argv, { cwd: here, stdio: ["pipe", "ignore", "pipe"] });
    let said = "";
    program.stderr?.on("data", (data) => {
      said += String(data);
    });
    program.stdin?.end(`.:${port} {\n reload 2s\n health 127.0.0.1:${health}\n whoami\n}\n`);
    await eventually(async () => (await status(health as number, "/health")) === 200);
    await eventually(async () => (await readFile(pidfile, "utf8").catch(() => "")) === `${program.pid}\n`);
    // Another one that finds the port taken leaves the file as it is.
    const second = spawn(process.execPath, argv, { cwd: here, stdio: ["pipe", "ignore", "ignore"] });
    second.stdin?.end(`.:${port} {\n whoami\n}\n`);
    expect(await once(second, "exit")).toEqual([1, null]);
    expect(await readFile(pidfile, "utf8")).toBe(`${program.pid}\n`);
    program.kill("SIGHUP");
    program.kill("SIGUSR1");
    await eventually(() => said.includes("Reloading complete"));
    const ended = once(program, "exit");
    program.kill("SIGQUIT");
    expect(await ended).toEqual([0, null]);
    await expect(readFile(pidfile)).rejects.toThrow("ENOENT");
    await rm(here, { recursive: true });
  });

  it("says what is missing, or wrong, and where", async () => {
    const here = await mkdtemp(join(tmpdir(), "podwire-dns-"));
    const fails = async () => {
      const program = spawn(process.execPath, [main], { cwd: here, stdio: ["ignore", "ignore", "pipe"] });
      let text = "";
      program.stderr.on("data", (data) => {
        text += String(data);
      });
      const [code] = (await once(program, "close")) as [number];
      return [code, text.trim()];
    };
    expect(await fails()).toEqual([1, "dns: there is no Corefile; name one with -conf FILE"]);
    await writeFile(join(here, "Corefile"), ". {\n  hostss\n}\n");
    const [code, text] = await fails();
    expect(code).toBe(1);
    expect(text).toMatch(/^dns: Corefile:2: Unknown directive 'hostss'; allowed: root, metadata/);
    await rm(here, { recursive: true });
  });
});
