import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Pair, signingKey, TestAuthority } from "#apiserver/testing/certificates.ts";
import { apiServerNodeOptions, distDirectory } from "#base/entry.ts";

/** More options for the Node that runs the server, such as --cpu-prof. */
const moreOptions = (process.env["PODWIRE_BENCH_NODE"] ?? "").split(" ").filter(Boolean);
const pauses = path.join(import.meta.dirname, "pauses.mjs");
/** Longest time for a server to become ready, in milliseconds. */
const patience = 30_000;

/** Keys and certificates of one cluster, in a folder of their own. */
export interface Credentials {
  readonly folder: string;
  readonly ca: string;
  readonly admin: Pair;
  /** Removes the folder. */
  remove(): void;
}

/** Makes what a control plane needs to start. */
export async function makeCredentials(): Promise<Credentials> {
  const folder = mkdtempSync(path.join(tmpdir(), "pw-bench-"));
  const authority = await TestAuthority.create();
  const serving = await authority.issue("kube-apiserver", { ips: ["127.0.0.1"] });
  const files = { "ca.crt": authority.cert, "tls.crt": serving.cert, "tls.key": serving.key, "sa.key": signingKey() };
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text, { mode: 0o600 });
  const admin = await authority.issue("admin", { organizations: ["system:masters"] });
  return { folder, ca: authority.cert, admin, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A kube-apiserver that runs, with its controllers. */
export interface ControlPlane {
  readonly pid: number;
  readonly port: number;
  /** From the exec to the first 200 of /readyz, in milliseconds. */
  readonly startMs: number;
  /** The longest pause of its event loop since the last question, in milliseconds; only where it is watched. */
  longestPause(): Promise<number>;
  stop(): Promise<void>;
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string") throw new Error("no port to listen on");
  return address.port;
}

function ready(port: number, ca: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host: "127.0.0.1", port, path: "/readyz", ca, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on("error", () => resolve(false));
  });
}

async function untilReady(child: ChildProcess, port: number, ca: string): Promise<void> {
  let words = "";
  child.stderr?.on("data", (text: string) => (words = (words + text).slice(-4000)));
  for (const end = performance.now() + patience; performance.now() < end; ) {
    if (child.exitCode !== null) throw new Error(`kube-apiserver ended with code ${child.exitCode}:\n${words}`);
    if (await ready(port, ca)) return;
    await sleep(2);
  }
  child.kill("SIGKILL");
  throw new Error(`kube-apiserver was not ready within ${patience} ms`);
}

/** How a control plane runs. */
export interface ControlPlaneOptions {
  /** Where it keeps its objects; absent: in memory. */
  readonly dataDir?: string;
  /** Its event loop is watched, which costs a little time and memory. */
  readonly watchPauses?: boolean;
}

/** Starts the bundled kube-apiserver as a cluster does, on loopback. */
export async function startControlPlane(
  credentials: Credentials,
  { dataDir, watchPauses = false }: ControlPlaneOptions = {},
): Promise<ControlPlane> {
  const file = (name: string): string => path.join(credentials.folder, name);
  const program = path.join(distDirectory, "kube-apiserver.cjs");
  if (!existsSync(program)) throw new Error(`${program} is missing: ./podwire --version builds it`);
  const port = await freePort();
  const flags = [
    ...["--advertise-address=192.0.2.10", "--bind-address=127.0.0.1", `--secure-port=${port}`],
    ...[`--client-ca-file=${file("ca.crt")}`, `--tls-cert-file=${file("tls.crt")}`],
    ...[`--tls-private-key-file=${file("tls.key")}`, `--service-account-signing-key-file=${file("sa.key")}`],
    ...(dataDir === undefined ? [] : [`--data-dir=${dataDir}`]),
  ];
  const began = performance.now();
  const child = spawn(
    process.execPath,
    [...apiServerNodeOptions, ...moreOptions, ...(watchPauses ? ["--import", pauses] : []), program, ...flags],
    {
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  child.stderr.setEncoding("utf8");
  const words = child.stderr.on("data", () => {});
  await untilReady(child, port, credentials.ca);
  const startMs = performance.now() - began;
  return {
    pid: child.pid as number,
    port,
    startMs,
    longestPause: async () => {
      const answer = new Promise<number>((resolve) => {
        const read = (text: string): void => {
          const found = /longest pause (\S+) ms/.exec(text)?.[1];
          if (found === undefined) return;
          words.off("data", read);
          resolve(Number(found));
        };
        words.on("data", read);
      });
      child.kill("SIGUSR2");
      return answer;
    },
    stop: async () => {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    },
  };
}
