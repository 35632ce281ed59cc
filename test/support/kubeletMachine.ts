import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as tlsConnect } from "node:tls";
import WebSocket from "ws";
import { Client, type ContainerStatus, type Node, type Pod, resources } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { connectTcp, openNetns } from "#kernel/namespaces/index.ts";
import { makePki } from "#lab/pki/index.ts";
import { wrapper } from "./cni.ts";
import { serveApi } from "./unixApi.ts";

/** What the machine does before it waits: folders of its own, the plugins, an underlay. */
const SETUP = `
mount -t tmpfs run /run && mount -t tmpfs lib /var/lib
if [ -n "$TOOLS" ]; then mount -t overlay usr -o "lowerdir=$TOOLS/root/usr:/usr" /usr; fi
mkdir -p /run/test/bin
if [ -n "$RUN_SIZE" ]; then mkdir -m 700 /run/podwire && mount -t tmpfs -o "mode=700,size=$RUN_SIZE" podwire /run/podwire; fi
for plugin in "$1"/bin/*; do cp "$plugin" /run/test/bin/; chmod 755 /run/test/bin/*; done
ip link set lo up && ip link add eth0 type veth peer name eth1 && ip addr add 192.168.1.11/24 dev eth0 && ip link set eth0 up && ip link set eth1 up
sysctl -qw net.ipv4.ip_forward=1
echo ready; exec tini -- sleep 999999`;

/** What a command in a container printed, and how it ended. */
export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
  /** NaN when nothing was run. */
  readonly code: number;
  /** Why nothing was run. */
  readonly message?: string;
}

/** What the error channel says at the end (apimachinery, meta/v1 Status). */
interface Status {
  readonly status?: string;
  readonly message?: string;
  readonly details?: { readonly causes: { readonly message: string }[] };
}

/** A machine in namespaces of its own with a node agent as its own process, and an API in memory. */
export class KubeletMachine {
  readonly api = new FakeApi();
  readonly client = new Client(this.api);
  readonly folder = mkdtempSync(join(tmpdir(), "pwk-"));
  #machine: ChildProcess | undefined;
  #agent: ChildProcess | undefined;
  #server: Server | undefined;
  #pki: Awaited<ReturnType<typeof makePki>> | undefined;
  output = "";
  readonly #runSize: string;

  /** @param runSize how much the agent's folder of containers may hold, such as "64m"; "": what the machine's may */
  constructor(runSize = "") {
    this.#runSize = runSize;
  }

  async start(): Promise<void> {
    this.#pki = await makePki({ apiNames: [], nodes: [{ name: "node01", addresses: ["192.168.1.11"] }] });
    const { ca, nodes } = this.#pki;
    execFileSync("mkdir", [join(this.folder, "bin")]);
    for (const type of ["bridge", "host-local", "loopback"])
      writeFileSync(join(this.folder, "bin", type), wrapper(type));
    for (const [name, text] of [
      ["ca.crt", ca],
      ["node.crt", nodes["node01"]?.cert],
      ["node.key", nodes["node01"]?.key],
    ] as const)
      writeFileSync(join(this.folder, name), text ?? "");
    this.#server = await serveApi(this.api, join(this.folder, "api.sock"));
    const unshare = [
      "--mount",
      "--pid",
      "--net",
      "--ipc",
      "--uts",
      "--cgroup",
      "--fork",
      "--kill-child",
      "--mount-proc",
      "--propagation",
      "private",
    ];
    this.#machine = spawn("unshare", [...unshare, "sh", "-c", SETUP, "sh", this.folder], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, RUN_SIZE: this.#runSize, TOOLS: process.env["PODWIRE_TOOLS"] ?? "", LD_LIBRARY_PATH: "" },
    });
    await once(this.#machine.stdout as NonNullable<ChildProcess["stdout"]>, "data");
    await this.startAgent();
    const spec = { podCIDR: "10.244.1.0/24", podCIDRs: ["10.244.1.0/24"] };
    await this.until("the node", async () => (await this.#node()) !== undefined);
    await this.client.patch(resources.nodes, "node01", undefined, { spec }, { type: "merge" });
    await this.until("a ready node", async () => {
      const node = await this.#node();
      return node?.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false;
    });
  }

  /** Pid of the machine's first process, as this process sees it. */
  get pid(): number {
    const unshare = this.#machine?.pid ?? 0;
    return Number(readFileSync(`/proc/${unshare}/task/${unshare}/children`, "utf8").trim().split(" ")[0]);
  }

  async startAgent(): Promise<void> {
    rmSync(`/proc/${this.pid}/root/run/test/ready`, { force: true });
    const script = join(import.meta.dirname, "kubeletAgent.ts");
    const command = [process.execPath, script, join(this.folder, "api.sock"), this.folder];
    this.#agent = spawn("nsenter", ["-t", String(this.pid), "-a", "--", ...command], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#agent.stdout, this.#agent.stderr])
      stream?.on("data", (d: Buffer) => (this.output += d.toString()));
    await this.until("the agent", async () => existsSync(`/proc/${this.pid}/root/run/test/ready`));
  }

  /** Kills the agent with SIGKILL and waits for its end. */
  async killAgent(): Promise<void> {
    const pid = readFileSync(`/proc/${this.pid}/root/run/test/ready`, "utf8");
    execFileSync("nsenter", ["-t", String(this.pid), "-p", "-m", "--", "kill", "-9", pid]);
    if (this.#agent?.exitCode === null && this.#agent.signalCode === null) await once(this.#agent, "exit");
  }

  async stop(): Promise<void> {
    this.#machine?.kill("SIGKILL");
    this.#server?.closeAllConnections();
    this.#server?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Waits for something, at most 50 s. @throws Error with the agent's log */
  async until(what: string, condition: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + 50_000;
    while (!(await condition())) {
      if (Date.now() > end) throw new Error(`no ${what} after 30 s:\n${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async pod(name: string): Promise<Pod | undefined> {
    return this.client.get(resources.pods, name, "default").catch(() => undefined);
  }

  /** Events of a pod of the namespace default, each as `Reason: message`. */
  events(pod: string): string[] {
    type Shown = { involvedObject: { name: string }; metadata: { name: string }; reason: string; message: string };
    const events = this.api.all<Shown>("/api/v1/events").filter((e) => e.involvedObject.name === pod);
    return events.map((e) => `${e.reason}: ${e.message}`);
  }

  /** Puts a pod on the node. */
  async create(name: string, spec: Partial<Pod["spec"]>): Promise<void> {
    const base = { containers: [{ name: "c", image: "podwire/toolbox" }] };
    await this.client.create(resources.pods, {
      metadata: { name, namespace: "default" },
      spec: { ...base, nodeName: "node01", ...spec },
    });
  }

  /** Status of a pod's container. */
  async container(pod: string, name = "c"): Promise<ContainerStatus | undefined> {
    const status = (await this.pod(pod))?.status;
    const all = [status?.initContainerStatuses, status?.containerStatuses, status?.ephemeralContainerStatuses];
    return all.flatMap((list) => list ?? []).find((s) => s.name === name);
  }

  /** Creates a pod on the node; resolves when it is ready, or ended. */
  async run(name: string, spec: Partial<Pod["spec"]>, wanted = "Ready"): Promise<Pod> {
    await this.create(name, spec);
    await this.until(`${wanted} pod ${name}`, async () => {
      const status = (await this.pod(name))?.status;
      return (
        status?.phase === wanted || (status?.conditions?.some((c) => c.type === wanted && c.status === "True") ?? false)
      );
    });
    return (await this.pod(name)) as Pod;
  }

  /** Deletes a pod as the API server does it: marks, and waits for the agent. */
  async delete(name: string, graceSeconds = 30): Promise<void> {
    const metadata = { deletionTimestamp: new Date().toISOString(), deletionGracePeriodSeconds: graceSeconds };
    await this.client.patch(resources.pods, name, "default", { metadata }, { type: "merge" });
    await this.until(`end of pod ${name}`, async () => (await this.pod(name)) === undefined);
  }

  /** A shell command on the machine. */
  shell(script: string): string {
    return execFileSync("nsenter", ["-t", String(this.pid), "-a", "--", "sh", "-c", script], { encoding: "utf8" });
  }

  /** Names in a folder of the machine. */
  list(path: string): string[] {
    const full = `/proc/${this.pid}/root${path}`;
    return existsSync(full) ? readdirSync(full) : [];
  }

  #connection() {
    const netns = openNetns(`/proc/${this.pid}/ns/net`);
    const socket = connectTcp(netns, "127.0.0.1", 10250);
    netns.close();
    const { cert, key } = this.#pki?.apiserverKubeletClient ?? { cert: "", key: "" };
    return tlsConnect({ socket, cert, key, rejectUnauthorized: false });
  }

  /** Asks the agent's server, with the API server's certificate. */
  get(path: string, method = "GET"): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const request = httpRequest({ path, method, createConnection: () => this.#connection() }, (response) => {
        let body = "";
        response.on("data", (chunk: Buffer) => (body += chunk.toString()));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
      });
      request.on("error", reject);
      request.end();
    });
  }

  /** Runs a shell command in a pod's container through the agent's server. */
  exec(
    pod: string,
    script: string,
    options: {
      readonly input?: string;
      readonly tty?: boolean;
      readonly container?: string;
      /** What runs the script; default: the shell. */
      readonly program?: string;
    } = {},
  ): Promise<ExecResult> {
    const query = new URLSearchParams({
      output: "1",
      error: "1",
      ...(options.tty ? { tty: "1" } : {}),
      ...(options.input === undefined ? {} : { input: "1" }),
    });
    for (const word of [options.program ?? "sh", "-c", script]) query.append("command", word);
    const socket = new WebSocket(
      `ws://node/exec/default/${pod}/${options.container ?? "c"}?${query}`,
      ["v5.channel.k8s.io"],
      {
        createConnection: () => this.#connection(),
      },
    );
    const text = ["", "", "", ""];
    socket.on("open", () => {
      if (options.input === undefined) return;
      socket.send(Buffer.from(`\0${options.input}`));
      socket.send(Buffer.of(255, 0));
    });
    socket.on("message", (message: Buffer) => {
      text[message[0] ?? 0] += message.subarray(1).toString();
    });
    return new Promise((resolve, reject) => {
      socket.on("error", reject);
      socket.on("close", () => {
        const status = JSON.parse(text[3] || "{}") as Status;
        const code = status.status === "Success" ? 0 : Number(status.details?.causes[0]?.message ?? -1);
        resolve({
          stdout: text[1] ?? "",
          stderr: text[2] ?? "",
          code,
          ...(Number.isNaN(code) && status.message && { message: status.message }),
        });
      });
    });
  }

  async #node(): Promise<Node | undefined> {
    return this.client.get(resources.nodes, "node01").catch(() => undefined);
  }
}
