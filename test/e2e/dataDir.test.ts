import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "#test/support/firstLight.ts";

const name = `data-${randomBytes(3).toString("hex")}`;
const flags = ["--nodes", "2", "--ingress", "none", "--example", "none"];

interface Meta {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

describe("podwire up --data-dir (part: a cluster that outlives its end)", () => {
  let folder: string;
  let child: ChildProcess | undefined;
  let kubeconfig = "";

  async function up(args: readonly string[]): Promise<void> {
    const started = spawn("./podwire", ["up", "--name", name, "--data-dir", join(folder, "data"), ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    child = started;
    let output = "";
    started.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    await new Promise<void>((resolve, reject) => {
      started.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString();
        if (output.includes("Ctrl-C ends it.")) resolve();
      });
      started.once("close", () => reject(new Error(`podwire up ended:\n${output}`)));
    });
    kubeconfig = execFileSync("./podwire", ["kubeconfig", "--name", name], { encoding: "utf8" }).trim();
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const gone = new Promise((resolve) => child?.once("close", resolve));
    child?.kill(signal);
    await gone;
    child = undefined;
  }

  const kubectl = (...args: string[]): string =>
    execFileSync("kubectl", ["--kubeconfig", kubeconfig, ...args], { encoding: "utf8", stdio: "pipe" });
  const metas = (kind: string): Meta[] =>
    (JSON.parse(kubectl("get", kind, "-o", "json")) as { items: { metadata: Meta }[] }).items.map((o) => o.metadata);
  const running = () =>
    kubectl("get", "pods", "-l", "app=kept", "-o", "jsonpath={range .items[*]}{.metadata.name} {.status.phase} {end}");

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "podwire-data-"));
    await up(flags);
    kubectl("create", "configmap", "kept", "--from-literal=a=b");
    kubectl("create", "deployment", "kept", "--image=podwire/echo", "--replicas=2");
    await eventually(async () => expect(running()).toMatch(/^(\S+ Running ){2}$/));
  }, 120_000);
  afterAll(async () => {
    if (child) await end("SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  });

  test("the folder is for its owner alone, and for one cluster", () => {
    const data = join(folder, "data");
    expect(statSync(data).mode & 0o777).toBe(0o700);
    for (const file of readdirSync(join(data, "pki")))
      expect(statSync(join(data, "pki", file)).mode & 0o777).toBe(0o600);
    const second = spawnSync("./podwire", ["up", "--name", `${name}-2`, "--data-dir", data], { encoding: "utf8" });
    expect([second.status, second.stderr]).toEqual([1, `podwire: ${data} is in use by a running cluster\n`]);
  });

  test.each(["SIGKILL", "SIGTERM"] as const)(
    "objects and pods are there again after %s",
    async (signal) => {
      const before = metas("configmaps").find((m) => m.name === "kept");
      const pods = metas("pods").map((m) => m.uid);
      await end(signal);
      // The configuration is kept too.
      await up([]);
      expect(metas("configmaps").find((m) => m.name === "kept")).toEqual(before);
      expect(kubectl("get", "nodes", "-o", "name").trim().split("\n")).toEqual(["node/controlplane", "node/node01"]);
      await eventually(async () => expect(running()).toMatch(/^(\S+ Running ){2}$/));
      expect(metas("pods").map((m) => m.uid)).toEqual(pods);
      // Not only by what is stored: the pods' processes answer.
      for (const pod of metas("pods"))
        await eventually(async () =>
          expect(kubectl("exec", pod.name, "--", "cat", "/etc/hostname").trim()).toBe(pod.name),
        );
      kubectl("rollout", "status", "deployment/kept", "--timeout=30s");
      kubectl("label", "configmap", "kept", `after-${signal.toLowerCase()}=yes`);
      const after = metas("configmaps").find((m) => m.name === "kept");
      expect(Number(after?.resourceVersion)).toBeGreaterThan(Number(before?.resourceVersion));
    },
    120_000,
  );

  test("a damaged log ends the start with file and place, and stays as it is", async () => {
    await end("SIGTERM");
    const file = join(folder, "data/disk/store.log");
    const whole = readFileSync(file);
    const damaged = Buffer.from(whole);
    damaged[whole.indexOf("kube-system")] = "X".charCodeAt(0);
    writeFileSync(file, damaged);
    const started = spawnSync("./podwire", ["up", "--name", name, "--data-dir", join(folder, "data")], {
      encoding: "utf8",
    });
    expect(started.status).toBe(1);
    expect(started.stderr).toMatch(
      /^podwire: kube-apiserver ended with exit code 1: kube-apiserver: \S+\/data\/disk\/store\.log: the record at byte \d+ is damaged/,
    );
    expect(readFileSync(file).equals(damaged)).toBe(true);
    writeFileSync(file, whole);
    await up([]);
  }, 120_000);

  test("a network cannot change under the objects", async () => {
    await end("SIGTERM");
    const data = join(folder, "data");
    const other = spawnSync("./podwire", ["up", "--name", name, "--data-dir", data, "--pod-cidr", "10.9.0.0/16"], {
      encoding: "utf8",
    });
    expect([other.status, other.stderr]).toEqual([
      2,
      `podwire: ${data}/cluster.json: the cluster's podCidrs are 10.244.0.0/16, now 10.9.0.0/16 is asked for; its objects have addresses of the old\n`,
    ]);
  });
});
