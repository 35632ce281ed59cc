import { type ChildProcess, execFile, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { kubeconfig, openAuthority } from "#lab/pki/index.ts";

const run = promisify(execFile);
const program = fileURLToPath(new URL("main.ts", import.meta.url));

let folder: string;
const children: ChildProcess[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "podwire-alone-"));
});
afterEach(async () => {
  for (const child of children.splice(0)) await end(child, "SIGKILL");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts the program; resolves with what it said first, or how it ended. */
async function start(...flags: string[]): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(process.execPath, [program, ...flags], { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  let errors = "";
  child.stderr?.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const said = await new Promise<string>((resolve) => {
    child.stdout?.once("data", (chunk: Buffer) => resolve(chunk.toString()));
    child.once("close", (code) => resolve(`${code} ${errors}`));
  });
  return { child, said };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("close", resolve));
  child.kill(signal);
  await gone;
}

async function kubectl(config: string, ...args: string[]): Promise<string> {
  const program = process.env.PODWIRE_TEST_KUBECTL ?? "kubectl";
  const full = ["--kubeconfig", config, "--cache-dir", join(folder, "cache"), ...args];
  const { stdout, stderr } = await run(program, full, { timeout: 20_000 }).catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  return (stdout + stderr).trimEnd();
}

describe("kube-apiserver alone", () => {
  it("makes what it needs, keeps its objects, and is alone on its folder", { timeout: 120_000 }, async () => {
    const data = join(folder, "data");
    const flags = ["--data-dir", data, "--controllers=none", `--secure-port=${await freePort()}`];
    const first = await start(...flags);
    const config = join(data, "pki/admin.conf");
    expect(first.said).toBe(
      `Serving at https://127.0.0.1:${flags[3]?.split("=")[1]}; the administrator's kubeconfig is ${config}\n`,
    );
    for (const [path, mode] of [
      [data, 0o700],
      [join(data, "pki"), 0o700],
      [config, 0o600],
      [join(data, "pki/ca.key"), 0o600],
      [join(data, "pki/sa.key"), 0o600],
      [join(data, "store.log"), 0o600],
    ] as const)
      expect([path, statSync(path).mode & 0o777]).toEqual([path, mode]);
    expect(await kubectl(config, "create", "configmap", "kept", "--from-literal=a=b")).toBe("configmap/kept created");
    await kubectl(config, "create", "serviceaccount", "bot");
    const token = await kubectl(config, "create", "token", "bot");
    expect(await kubectl(config, "get", "--raw", "/readyz?verbose")).toMatch(
      /^\[\+\]ping ok\n[\s\S]*readyz check passed$/,
    );
    const second = await start("--data-dir", data, "--controllers=none", `--secure-port=${await freePort()}`);
    expect(second.said).toBe(
      `1 kube-apiserver: --data-dir ${data} is in use by another process (pid ${first.child.pid})\n`,
    );
    await end(first.child, "SIGTERM");
    expect(first.child.exitCode).toBe(0);
    const again = await start(...flags);
    expect(again.said).toContain("Serving at");
    expect(await kubectl(config, "get", "configmap", "kept", "-o", "jsonpath={.data.a}")).toBe("b");
    // The authority and the token key are the same as before.
    expect(
      await kubectl(config, "auth", "whoami", "--token", token, "-o", "jsonpath={.status.userInfo.username}"),
    ).toBe("kubernetes-admin");
    const bare = join(folder, "bare.conf");
    const server = /https:\S+(?=;)/.exec(again.said)?.[0] ?? "";
    writeFileSync(bare, JSON.stringify(bareConfig(server, readFileSync(join(data, "pki/ca.crt"), "utf8"))));
    expect(await kubectl(bare, "auth", "whoami", "--token", token, "-o", "jsonpath={.status.userInfo.username}")).toBe(
      "system:serviceaccount:default:bot",
    );
    const { stdout } = await run("curl", ["-sk", `${server}/`]);
    expect(JSON.parse(stdout).message).toBe('forbidden: User "system:anonymous" cannot get path "/"');
  });

  it("refuses a folder of something else, and leaves it alone", { timeout: 60_000 }, async () => {
    const other = mkdtempSync(join(folder, "other-"));
    writeFileSync(join(other, "precious"), "x");
    const { said } = await start("--data-dir", other);
    expect(said).toBe(
      `1 kube-apiserver: --data-dir ${other} holds other things (precious); give an empty folder, or one that does not exist\n`,
    );
    expect(existsSync(join(other, "lock"))).toBe(false);
  });

  it("names flag and file of what cannot be used", { timeout: 60_000 }, async () => {
    const garbage = join(folder, "garbage");
    writeFileSync(garbage, "garbage");
    const said = async (...flags: string[]) => (await start("--cert-dir", join(folder, "refused"), ...flags)).said;
    expect(await said("--client-ca-file", garbage)).toBe(
      `1 kube-apiserver: --client-ca-file: ${garbage} holds no certificate in PEM\n`,
    );
    expect(await said("--service-account-signing-key-file", garbage)).toBe(
      `1 kube-apiserver: --service-account-signing-key-file: ${garbage} holds no private key in PEM\n`,
    );
    expect(await said("--client-ca-file", "/nowhere")).toMatch(
      /^1 kube-apiserver: --client-ca-file: ENOENT: .*\/nowhere/,
    );
    expect(await said("--data-dir", "/proc/none")).toMatch(/^1 kube-apiserver: ENOENT: .*\/proc\/none/);
  });

  it("runs by the flags that kubeadm writes, without those of etcd", { timeout: 120_000 }, async () => {
    const pki = mkdtempSync(join(folder, "pki-"));
    const authority = openAuthority();
    const write = (name: string, text: string) => writeFileSync(join(pki, name), text, { mode: 0o600 });
    const pair = (name: string, what: Parameters<typeof authority.issue>[0]) => {
      const { cert, key } = authority.issue(what);
      write(`${name}.crt`, cert);
      write(`${name}.key`, key);
      return { cert, key };
    };
    write("ca.crt", authority.cert);
    pair("apiserver", { subject: { commonName: "kube-apiserver" }, names: ["127.0.0.1"], purposes: ["server"] });
    pair("apiserver-kubelet-client", { subject: { commonName: "kubelet-client" }, purposes: ["client"] });
    const keys = generateKeyPairSync("rsa", { modulusLength: 2048 });
    write("sa.key", keys.privateKey.export({ type: "pkcs1", format: "pem" }).toString());
    write("sa.pub", keys.publicKey.export({ type: "spki", format: "pem" }).toString());
    const admin = authority.issue({
      subject: { organization: "system:masters", commonName: "kubernetes-admin" },
      purposes: ["client"],
    });
    const port = await freePort();
    const { said } = await start(
      "--advertise-address=127.0.0.1",
      "--allow-privileged=true",
      "--authorization-mode=Node,RBAC",
      "--bind-address=127.0.0.1",
      `--client-ca-file=${pki}/ca.crt`,
      "--enable-admission-plugins=NodeRestriction",
      "--enable-bootstrap-token-auth=true",
      `--kubelet-client-certificate=${pki}/apiserver-kubelet-client.crt`,
      `--kubelet-client-key=${pki}/apiserver-kubelet-client.key`,
      "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
      `--proxy-client-cert-file=${pki}/front-proxy-client.crt`,
      `--proxy-client-key-file=${pki}/front-proxy-client.key`,
      "--requestheader-allowed-names=front-proxy-client",
      `--requestheader-client-ca-file=${pki}/front-proxy-ca.crt`,
      "--requestheader-extra-headers-prefix=X-Remote-Extra-",
      "--requestheader-group-headers=X-Remote-Group",
      "--requestheader-username-headers=X-Remote-User",
      `--secure-port=${port}`,
      "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
      `--service-account-key-file=${pki}/sa.pub`,
      `--service-account-signing-key-file=${pki}/sa.key`,
      "--service-cluster-ip-range=10.96.0.0/12",
      `--tls-cert-file=${pki}/apiserver.crt`,
      `--tls-private-key-file=${pki}/apiserver.key`,
    );
    const server = `https://127.0.0.1:${port}`;
    expect(said).toBe(`Serving at ${server}\n`);
    const config = join(pki, "admin.conf");
    const request = { cluster: "kubernetes", user: "kubernetes-admin", server, ca: authority.cert, client: admin };
    writeFileSync(config, kubeconfig(request), { mode: 0o600 });
    // The controllers are there: a namespace gets its account, a Deployment its pod.
    await expect
      .poll(() => kubectl(config, "get", "serviceaccount", "default", "-o", "name"), { timeout: 20_000 })
      .toBe("serviceaccount/default");
    await kubectl(config, "create", "deployment", "web", "--image=nginx");
    await expect
      .poll(() => kubectl(config, "get", "pods", "-o", "jsonpath={.items[*].status.phase}"), { timeout: 20_000 })
      .toBe("Pending");
    // A front proxy's headers prove nothing here.
    const { stdout } = await run("curl", [
      "-sk",
      "-H",
      "X-Remote-User: admin",
      "-H",
      "X-Remote-Group: system:masters",
      `${server}/api/v1/nodes`,
    ]);
    expect(JSON.parse(stdout)).toMatchObject({ code: 403 });
  });
});

function bareConfig(server: string, ca: string): object {
  return {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "c",
    clusters: [{ name: "c", cluster: { server, "certificate-authority-data": Buffer.from(ca).toString("base64") } }],
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    users: [{ name: "u", user: {} }],
  };
}
