import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Result, run, TestCluster } from "#test/support/cluster.ts";
import { hostState, processesOf } from "#test/support/host.ts";
import { makeStaging, type Staging } from "#test/support/staging.ts";

let staging: Staging;
let folder: string;
const environment = () => ({
  PATH: process.env["PATH"] ?? "",
  HOME: folder,
  XDG_STATE_HOME: folder,
  PODWIRE_TOOLS: staging.tools,
});
const podwire = (...args: string[]): Promise<Result> =>
  run(staging.node, [staging.podwire, ...args], { env: environment() });

beforeAll(() => {
  staging = makeStaging();
  folder = mkdtempSync(join(tmpdir(), "pw-refused-"));
});
afterAll(() => {
  staging.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** A program of somebody else on a port of this machine. */
async function listening(host: string): Promise<{ server: Server; port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return { server, port: (server.address() as { port: number }).port };
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe("I03 K01 P01 V01 up refuses before anything starts (part: ranges, names, ports, flags, keys)", () => {
  /** It has to end with the code, print nothing but `message`, and leave nothing behind. */
  async function refused(args: readonly string[], code: number, message: string | RegExp): Promise<void> {
    const { links, mounts } = hostState();
    const result = await podwire("up", ...args);
    expect(result).toMatchObject({ code, stdout: "" });
    if (typeof message === "string") expect(result.stderr).toBe(`podwire: ${message}\n`);
    else expect(result.stderr).toMatch(message);
    expect(processesOf([staging.directory])).toEqual([]);
    expect(hostState()).toMatchObject({ links, mounts });
    expect(readdirSync(folder, { recursive: true }).filter((name) => String(name).startsWith("podwire/"))).toEqual([]);
  }

  it.each([
    [
      ["--pod-cidr", "10.100.0.0/16"],
      "podCidr 10.100.0.0/16 and serviceCidr 10.96.0.0/12 overlap; nodes, pods and Services need ranges of their own",
    ],
    [
      ["--pod-cidr", "192.168.0.0/16"],
      "podCidr 192.168.0.0/16 and nodeCidr 192.168.1.0/24 overlap; nodes, pods and Services need ranges of their own",
    ],
    [
      ["--service-cidr", "192.168.1.128/25"],
      "serviceCidr 192.168.1.128/25 and nodeCidr 192.168.1.0/24 overlap; nodes, pods and Services need ranges of their own",
    ],
    [["--pod-cidr", "10.244.0.0/33"], 'podCidr: "10.244.0.0/33": prefix length "33" is not a number 0-32'],
    [
      ["--pod-cidr", "10.244.0.0/16,10.245.0.0/16"],
      "podCidr: found 10.244.0.0/16,10.245.0.0/16; allowed is one range, or one of IPv4 and one of IPv6",
    ],
    [["--nodes", "0"], "nodes: found 0; allowed is 1 to 200"],
    [["--name", "Big"], 'name: found "Big"; allowed are lower-case letters, digits and "-", at most 63'],
    [["--ingress-port", "70000"], "ingressPort: found 70000; allowed is 1 to 65535"],
    [["--config", "/absent.yaml"], "--config /absent.yaml: ENOENT: no such file or directory, open '/absent.yaml'"],
  ])("%j", (args, message) => refused(args, 2, message));

  it("a node name that is there twice: file and both lines", async () => {
    const path = file("nodes.yaml", "name: twice\nnodes:\n  - name: alpha\n  - name: beta\n  - name: alpha\n");
    await refused(
      ["--config", path],
      2,
      `${path}:5: node "alpha" is already defined at ${path}:3; node names must be unique`,
    );
  });

  it("two nodes with one address", async () => {
    const nodes = ["alpha", "beta"].map((name) => `  - { name: ${name}, address: 192.168.1.20 }\n`).join("");
    const path = file("addresses.yaml", `nodes:\n${nodes}`);
    await refused(["--config", path], 2, `${path}:1: nodes alpha and beta both have the address 192.168.1.20`);
  });

  it("a key or value that the configuration does not know: file, line and what is allowed", async () => {
    const key = file("key.yaml", "name: x\n\npodCIDR: 10.0.0.0/16\n");
    await refused(
      ["--config", key],
      2,
      `${key}:3: unknown key "podCIDR"; allowed are name, nodes, podCidr, serviceCidr, nodeCidr, nodeCidrMaskSizeIpv4, nodeCidrMaskSizeIpv6, maxPods, clusterDomain, ingress, example, outside, pods, runtime, privileged, proxyMode, images, apiPort, ingressPort`,
    );
    const value = file("value.yaml", "ingress: traefik\n");
    await refused(["--config", value], 2, `${value}:1: ingress: found "traefik"; allowed are nginx, none`);
    const runtime = file("runtime.yaml", "runtime: runc\n");
    await refused(["--config", runtime], 2, `${runtime}:1: runtime: found "runc"; allowed are podwire, crun`);
    const role = file("role.yaml", "nodes:\n  - name: alpha\n    role: master\n");
    await refused(["--config", role], 2, `${role}:3: role: found "master"; allowed are control-plane, worker`);
    const range = file("range.yaml", "name: x\nserviceCidr: 10.96.0.0/30\n");
    await refused(
      ["--config", range],
      2,
      `${range}:2: serviceCidr: found 10.96.0.0/30; allowed is /28 or larger, as DNS has the tenth address`,
    );
    const broken = file("broken.yaml", "name: x\nnodes: [1, 2\n");
    await refused(["--config", broken], 2, new RegExp(`^podwire: ${broken}:[23]: `));
  });

  it("flags that are not there or have wrong values, with those that are", async () => {
    await refused(
      ["--bogus"],
      2,
      /^error: unknown option '--bogus'\n\(podwire up \[options\]; options are --name, --nodes, --config, --pod-cidr, --service-cidr, /,
    );
    await refused(["--ingress", "traefik"], 2, /'traefik' is invalid\. Allowed choices are nginx, none\./);
    for (const number of ["many", "1e2", "0x3", "-1", "1.5", ""])
      await refused(["--nodes", number], 2, new RegExp(`'${number}' is invalid\\. allowed is a whole number`));
    await refused(["extra"], 2, /too many arguments/);
  });

  it("a privileged cluster by anybody but root of the machine", async () => {
    // Root of a user namespace is not root of the machine.
    const command = ["--user", "--map-root-user", "--", staging.node, staging.podwire, "up", "--privileged"];
    const { code, stdout, stderr } = await run("unshare", command, { env: environment() });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toBe(
      "podwire: --privileged needs root of this machine: root here is that of a user namespace; run it by sudo, or leave --privileged out\n",
    );
    await refused(
      ["--proxy-mode", "ebpf"],
      2,
      /^podwire: proxyMode ebpf needs a privileged cluster \(as root, flag --privileged\): /,
    );
  });

  it("a place for its state that cannot be written: the variable that names another", async () => {
    for (const home of [file("state", "a file"), "/proc/none"]) {
      const env = { ...environment(), XDG_STATE_HOME: home };
      const { code, stdout, stderr } = await run(staging.node, [staging.podwire, "up"], { env });
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toMatch(
        /^podwire: state cannot be kept in \S+\/podwire\/podwire \(.*\); set XDG_STATE_HOME .*\n$/,
      );
    }
  });

  it("a machine whose loopback device is down: the command that mends it", async () => {
    const asRoot = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
    const command = [...asRoot, "--net", "--", staging.node, staging.podwire, "up"];
    expect(await run("unshare", command, { env: environment() })).toEqual({
      code: 1,
      stdout: "",
      stderr: "podwire: the loopback device is down, by which the cluster is reached; run: ip link set lo up\n",
    });
  });

  it("a port that was asked for and is taken", async () => {
    const local = await listening("127.0.0.1");
    await refused(
      ["--ingress-port", String(local.port)],
      1,
      `--ingress-port ${local.port}: 127.0.0.1:${local.port} cannot be used: another program listens there`,
    );
    local.server.close();
    const everywhere = await listening("0.0.0.0");
    await refused(
      ["--api-port", String(everywhere.port)],
      1,
      `--api-port ${everywhere.port}: 127.x.y.1:${everywhere.port} cannot be used: another program listens there`,
    );
    everywhere.server.close();
  });
});

describe("commands without a cluster", () => {
  it.each([["status"], ["down"], ["kubeconfig"], ["exec", "node01", "--", "true"], ["shell", "node01"], ["check"]])(
    "%s says that there is none",
    async (...args) => {
      expect(await podwire(...args)).toEqual({
        code: 1,
        stdout: "",
        stderr: 'podwire: no cluster "podwire" is running (podwire up starts one)\n',
      });
    },
  );

  it("an unknown command, with those that there are", async () => {
    const { code, stderr } = await podwire("frobnicate");
    expect(code).toBe(2);
    expect(stderr).toBe(
      "error: unknown command 'frobnicate'\n(commands are up, down, status, kubeconfig, shell, exec, node, check, doctor, services, cni, images, run, ps, stop, dns, kube-apiserver, kube-proxy)\n",
    );
  });

  it("a name that is none reaches no folder outside of the clusters'", async () => {
    const outside = join(folder, "outside");
    mkdirSync(outside);
    for (const name of ["lock", "version"]) writeFileSync(join(outside, name), "1\n");
    for (const command of [["down"], ["status"], ["kubeconfig"], ["check"], ["shell", "a"], ["exec", "a", "--", "b"]]) {
      for (const name of ["../outside", "", "."]) {
        const [first = "", ...rest] = command;
        expect(await podwire(first, "--name", name, ...rest)).toEqual({
          code: 2,
          stdout: "",
          stderr: `podwire: name: found "${name}"; allowed are lower-case letters, digits and "-", at most 63\n`,
        });
      }
    }
    expect(readdirSync(outside).sort()).toEqual(["lock", "version"]);
  });

  it("missing arguments are a mistake of usage", async () => {
    for (const command of ["shell", "exec"]) expect((await podwire(command)).code).toBe(2);
    const { code, stdout } = await podwire();
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  it("--help says of each command what it does and takes", async () => {
    const { stdout, code } = await podwire("--help");
    expect(code).toBe(0);
    for (const command of ["up", "down", "status", "shell", "exec", "kubeconfig", "doctor", "check", "dns"]) {
      expect(stdout).toMatch(new RegExp(`^ {2}${command}\\b`, "m"));
      const help = await podwire(command, "--help");
      expect(help).toMatchObject({ code: 0, stderr: "" });
      expect(help.stdout).toMatch(new RegExp(`^Usage: podwire ${command}\\b.*\\n\\n\\S`));
    }
    const up = (await podwire("up", "--help")).stdout;
    for (const flag of ["name", "nodes", "config", "pod-cidr", "service-cidr", "ingress", "example", "pods"])
      expect(up).toContain(`--${flag} <`);
  });

  it("doctor says what the machine offers, as text and as JSON", async () => {
    const { code, stdout } = await podwire("doctor", "--json");
    const report = JSON.parse(stdout) as { verdict: string; findings: { id: string; verdict: string; says: string }[] };
    expect(code).toBe(0);
    expect(["ok", "warn"]).toContain(report.verdict);
    for (const finding of report.findings)
      expect(finding).toEqual(expect.objectContaining({ id: expect.any(String), says: expect.any(String) }));
    const text = (await podwire("doctor")).stdout;
    for (const { says } of report.findings) expect(text).toContain(says);
  });
});

describe("U01 K01 C01 commands on a cluster (part: podwire's own)", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = new TestCluster({ staging, flags: ["--name", "own", "--example", "none"] });
    await cluster.ready();
  }, 120_000);
  afterAll(() => cluster?.stop());
  const own = (...args: string[]) => cluster.podwire(...args.slice(0, 1), "--name", "own", ...args.slice(1));
  /** Types into a command on a terminal. */
  const typed = (input: string, ...args: string[]) =>
    run("script", ["-qec", [staging.node, staging.podwire, ...args].join(" "), "/dev/null"], {
      env: { ...environment(), XDG_STATE_HOME: cluster.directory, TERM: "xterm" },
      input,
    });

  const kubectl = async (...args: string[]) =>
    run(process.env["PODWIRE_TEST_KUBECTL"] ?? "kubectl", args, {
      env: { PATH: process.env["PATH"] ?? "", HOME: folder, KUBECONFIG: (await own("kubeconfig")).stdout.trim() },
    });

  it("status --json has name, state, kubeconfig, urls, nodes and firstAnswerMs", async () => {
    const status = JSON.parse((await own("status", "--json")).stdout) as Record<string, unknown>;
    expect(status).toMatchObject({
      name: "own",
      state: "ready",
      kubeconfig: join(cluster.directory, "podwire/own/kubeconfig"),
      urls: {
        api: expect.stringMatching(/^https:\/\/127\.\d+\.\d+\.1:6443$/),
        ingress: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      },
      nodes: [
        { name: "controlplane", address: "192.168.1.10", state: "Ready" },
        { name: "node01", address: "192.168.1.11", state: "Ready" },
        { name: "node02", address: "192.168.1.12", state: "Ready" },
      ],
    });
    expect((await own("status")).stdout).toMatch(/^own: ready\n/);
  });

  it("kubeconfig prints a path that kubectl can use alone, readable by its owner only", async () => {
    const { stdout } = await own("kubeconfig");
    const path = stdout.trim();
    expect((await run("stat", ["-c", "%a", path])).stdout).toBe("600\n");
    const nodes = await kubectl("get", "nodes", "-o", "name");
    expect(nodes.stdout).toBe("node/controlplane\nnode/node01\nnode/node02\n");
  });

  it("exec passes output, errors, exit code and input; an unknown node is named with those that there are", async () => {
    expect(await own("exec", "node01", "--", "sh", "-c", "echo out; echo err >&2; exit 3")).toEqual({
      code: 3,
      stdout: "out\n",
      stderr: "err\n",
    });
    expect(await own("exec", "node09", "--", "ls")).toEqual({
      code: 1,
      stdout: "",
      stderr: "podwire: no machine node09; there are router, controlplane, node01, node02\n",
    });
    expect((await own("exec", "node01")).code).toBe(2);
    const { stdout } = await run(
      "sh",
      ["-c", `echo typed | ${staging.node} ${staging.podwire} exec --name own node01 -- cat`],
      {
        env: { ...environment(), XDG_STATE_HOME: cluster.directory },
      },
    );
    expect(stdout).toBe("typed\n");
  });

  it("shell opens a terminal on a node that sees that node", async () => {
    const { stdout } = await typed(
      "hostname; tty; ip -brief link show ens3; ip netns add red; ip netns; ls /etc/kubernetes /var/lib/kubelet/config.yaml; exit\n",
      "shell",
      "node01",
      "--name",
      "own",
    );
    expect(stdout).toContain("root@node01:");
    expect(stdout).toMatch(/\/dev\/pts\/\d+/);
    expect(stdout).toMatch(/eth0\S* +UP/);
    expect(stdout).toMatch(/^red/m);
    expect(stdout).toContain("kubelet.conf");
    expect(stdout).toContain("/var/lib/kubelet/config.yaml");
  });

  it("shell opens one in a pod too", async () => {
    await kubectl("run", "box", "--image=podwire/toolbox", "--", "sleep", "infinity");
    await kubectl("wait", "--for=condition=Ready", "pod/box", "--timeout=60s");
    const { stdout } = await typed("hostname; exit\n", "shell", "default/box", "--name", "own");
    expect(stdout).toMatch(/^(?:# )?box\r$/m);
  });

  it("a second cluster of the same name is refused, and the first one goes on", async () => {
    const { code, stderr } = await cluster.podwire("up", "--name", "own");
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/own.*running|running.*own/);
    expect((await own("status")).stdout).toContain("own: ready");
  });

  it("a name that is not running is told of those that are", async () => {
    expect((await cluster.podwire("status")).stderr).toBe(
      'podwire: no cluster "podwire" is running; there is own (podwire up starts one)\n',
    );
  });

  it("down returns when everything is gone; up ends with 0", async () => {
    const ended = new Promise<number | null>((resolve) => cluster.process.once("exit", resolve));
    expect(await own("down")).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(await ended).toBe(0);
    expect(processesOf([staging.directory])).toEqual([]);
    expect((await own("status")).stderr).toContain('no cluster "own" is running');
  });
});
