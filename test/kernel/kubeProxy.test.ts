import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Client, type EndpointSlice, type Node, resources, type Service } from "#api/index.ts";
import { controllerUser } from "#apiserver/index.ts";
import { startTestServer, type TestServer } from "#apiserver/testing/server.ts";
import { nodeOptions } from "#base/entry.ts";
import { connectTcp, inNetns, listenTcp, type Netns } from "#kernel/namespaces/index.ts";
import { Transaction } from "#kernel/nft/index.ts";
import {
  checkIpvs,
  EBPF_TABLE,
  hasEbpfPrograms,
  IPVS_DEVICE,
  IPVS_TABLE,
  SERVICES_TABLE,
  USERSPACE_TABLE,
} from "#services/index.ts";
import { TestGroup } from "../support/testGroup.ts";
import { ifEbpf } from "./ebpfHarness.ts";
import { ask, ServicesLab } from "./servicesLab.ts";

const main = join(import.meta.dirname, "../../src/programs/kube-proxy/main.ts");
const API_PORT = 6443;
const CLUSTER_IP = "10.96.0.50";
const [HEALTH_PORT, METRICS_PORT] = [10_256, 10_249];

let lab: ServicesLab;
let api: TestServer;
let client: Client;
let config: string;
let kubeconfig: string;
const children: ChildProcess[] = [];

/** The program on the node, as it runs on a machine of its own. */
class Program {
  /** What programs are started by, and the control group in which. */
  static wrapper: readonly string[] = [];
  static group: TestGroup | undefined;
  readonly child: ChildProcess;
  readonly exit: Promise<unknown[]>;
  log = "";

  constructor(...args: string[]) {
    const [command = "", ...argv] = [...Program.wrapper, process.execPath, ...nodeOptions, main, ...args];
    const start = () => inNetns(lab.node, () => spawn(command, argv, { stdio: ["ignore", "pipe", "pipe"] }));
    this.child = Program.group ? Program.group.within(start) : start();
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on("data", (data) => {
        this.log += String(data);
      });
    this.exit = once(this.child, "close");
    children.push(this.child);
  }

  async shows(words: RegExp | string): Promise<void> {
    await eventually(async () => expect(this.log).toMatch(words));
  }

  async ends(): Promise<unknown> {
    return (await this.exit)[0];
  }
}

async function eventually(check: () => Promise<void>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return await check();
    } catch (error) {
      if (tries === 400) throw error;
      await new Promise((done) => setTimeout(done, 50));
    }
  }
}

/** Status and body of a page, asked for from a namespace. */
async function page(
  netns: Netns,
  address: string,
  port: number,
  path: string,
): Promise<[status: number, body: string]> {
  const socket = connectTcp(netns, address, port);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n`);
  let text = "";
  socket.setEncoding("utf8");
  for await (const part of socket) text += part;
  const [, status = "0"] = /^HTTP\/1\.1 (\d+)/.exec(text) ?? [];
  const body = text.slice(text.indexOf("\r\n\r\n") + 4);
  return [Number(status), /transfer-encoding: chunked/i.test(text) ? unchunked(body) : body];
}

function unchunked(text: string): string {
  let rest = text;
  let body = "";
  for (;;) {
    const end = rest.indexOf("\r\n");
    const size = Number.parseInt(rest.slice(0, end), 16);
    if (!size) return body;
    body += rest.slice(end + 2, end + 2 + size);
    rest = rest.slice(end + 4 + size);
  }
}

/** Skips, with the reason, where the kernel has no IPVS; its long tests run this one where it has. */
function ifIpvs(): { readonly skip?: true; readonly meta?: { readonly skipReason: string } } {
  try {
    checkIpvs("");
    return {};
  } catch (error) {
    return { skip: true, meta: { skipReason: String(error) } };
  }
}

const metadata = { name: "web", namespace: "default" };
const service: Service = {
  apiVersion: "v1",
  kind: "Service",
  metadata,
  spec: {
    type: "LoadBalancer",
    clusterIP: CLUSTER_IP,
    externalTrafficPolicy: "Local",
    ports: [{ name: "http", port: 80, targetPort: 8080, protocol: "TCP" }],
  },
} as Service;
const endpoints = (...addresses: string[]): EndpointSlice =>
  ({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { ...metadata, labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    endpoints: addresses.map((address) => ({ addresses: [address], nodeName: "node01" })),
  }) as EndpointSlice;
const node: Node = {
  metadata: { name: "node01" },
  status: { addresses: [{ type: "InternalIP", address: "192.168.1.11" }] },
};

beforeAll(async () => {
  lab = await ServicesLab.start();
  api = await startTestServer({ listenFds: [listenTcp(lab.node, "127.0.0.1", API_PORT)] });
  client = new Client(api.server.localTransport(controllerUser));
  const admin = await api.authority.issue("system:kube-proxy", {});
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  kubeconfig = join(api.directory, "kube-proxy.conf");
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "c",
      clusters: [
        {
          name: "c",
          cluster: {
            server: `https://127.0.0.1:${API_PORT}`,
            "certificate-authority-data": base64(api.authority.cert),
          },
        },
      ],
      users: [
        { name: "u", user: { "client-certificate-data": base64(admin.cert), "client-key-data": base64(admin.key) } },
      ],
      contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    }),
  );
  config = join(api.directory, "config.conf");
  writeFileSync(
    config,
    `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: ${kubeconfig}}
clusterCIDR: 10.244.0.0/16
mode: nftables
`,
  );
  await client.create(resources.nodes, node);
  await client.create(resources.services, service);
  await client.create(resources.endpointSlices, endpoints("10.244.1.3"));
  await lab.serveTcp(lab.pod2, "10.244.1.3", 8080, "pod2");
  await lab.serveTcp(lab.pod1, "10.244.1.2", 8080, "pod1");
}, 60_000);

afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await client.transport.close();
  await api.stop();
  await lab.close();
});

describe("V04 K02 podwire kube-proxy beside a Kubernetes API (part: the program, with packets)", () => {
  let program: Program;
  const tables = async () => (await lab.nft.listTables()).map(({ name }) => name);

  it("says its mode, and moves packets", { timeout: 60_000 }, async () => {
    // As upstream's kube-proxy leaves it.
    await lab.nft.commit(new Transaction().addTable({ family: "ip", name: "kube-proxy" }));
    program = new Program("--config", config, "--hostname-override=node01");
    await program.shows(/"SyncProxyRules complete"/);
    expect(program.log).toMatch(/^I\d{4} \S+ kube-proxy\] "Using nftables Proxier" proxyMode="nftables"$/m);
    expect(program.log).toContain('"Successfully retrieved NodeIPs" NodeIPs=["192.168.1.11"]');
    expect(await ask(lab.pod1, CLUSTER_IP, 80)).toBe("pod2 10.244.1.2");
    await program.shows(`"Rules of upstream's kube-proxy are removed" tables=["ip"]`);
    expect(await tables()).not.toContain("kube-proxy");
  });

  it("health, mode and metrics are on loopback, and only there", { timeout: 30_000 }, async () => {
    const get = (port: number, path: string) => page(lab.node, "127.0.0.1", port, path);
    await eventually(async () => expect((await get(HEALTH_PORT, "/healthz"))[0]).toBe(200));
    const [, health] = await get(HEALTH_PORT, "/healthz");
    expect(JSON.parse(health)).toMatchObject({
      nodeEligible: true,
      healthy: true,
      status: { IPv4: { healthy: true } },
    });
    expect(await get(METRICS_PORT, "/proxyMode")).toEqual([200, "nftables"]);
    const [, metrics] = await get(METRICS_PORT, "/metrics");
    // Services kubernetes and web; names and types of pkg/proxy/metrics.
    for (const line of [
      /^# TYPE kubeproxy_sync_proxy_rules_duration_seconds histogram$/m,
      /^kubeproxy_sync_full_proxy_rules_duration_seconds_count\{ip_family="IPv4"\} [1-9]/m,
      /^# TYPE kubeproxy_sync_proxy_rules_last_timestamp_seconds gauge$/m,
      /^kubeproxy_sync_proxy_rules_service_changes_total [1-9]/m,
      /^kubeproxy_sync_proxy_rules_service_changes_pending 0$/m,
      /^kubeproxy_sync_proxy_rules_endpoint_changes_total [1-9]/m,
      /^kubeproxy_sync_proxy_rules_no_local_endpoints_total\{ip_family="IPv4",traffic_policy="external"\} 0$/m,
      /^kubeproxy_proxy_healthz_total\{code="200"\} [1-9]/m,
    ])
      expect(metrics).toMatch(line);
    for (const port of [HEALTH_PORT, METRICS_PORT])
      expect(await ask(lab.outside, "192.168.1.11", port)).toBe("ECONNREFUSED");
  });

  it("a node that is going away is told to balancers", { timeout: 30_000 }, async () => {
    const taints = (list: object[]) =>
      client.patch(resources.nodes, "node01", undefined, { spec: { taints: list } }, { type: "merge" });
    await taints([{ key: "ToBeDeletedByClusterAutoscaler", effect: "NoSchedule" }]);
    await eventually(async () => expect((await page(lab.node, "127.0.0.1", HEALTH_PORT, "/healthz"))[0]).toBe(503));
    expect((await page(lab.node, "127.0.0.1", HEALTH_PORT, "/livez"))[0]).toBe(200);
    await taints([]);
    await eventually(async () => expect((await page(lab.node, "127.0.0.1", HEALTH_PORT, "/healthz"))[0]).toBe(200));
  });

  it("answers load balancers for the Service", { timeout: 30_000 }, async () => {
    const { spec } = await client.get(resources.services, "web", "default");
    const port = spec.healthCheckNodePort ?? 0;
    expect(port).toBeGreaterThan(0);
    await eventually(async () => {
      const [status, body] = await page(lab.outside, "192.168.1.11", port, "/");
      expect(status).toBe(200);
      expect(JSON.parse(body)).toEqual({
        service: { namespace: "default", name: "web" },
        localEndpoints: 1,
        serviceProxyHealthy: true,
      });
    });
  });

  it("the rules outlive it, and the next one goes on from them", { timeout: 60_000 }, async () => {
    program.child.kill("SIGTERM");
    expect(await program.ends()).toBe(0);
    expect(await ask(lab.pod1, CLUSTER_IP, 80)).toBe("pod2 10.244.1.2");
    const slice = await client.get(resources.endpointSlices, "web", "default");
    await client.update(resources.endpointSlices, {
      ...slice,
      endpoints: endpoints("10.244.1.2").endpoints,
    } as EndpointSlice);
    program = new Program("--config", config, "--hostname-override=node01");
    // At each moment there is an answer: the old one, then the new one.
    const answers = new Set<string>();
    await eventually(async () => {
      answers.add(await ask(lab.pod2, CLUSTER_IP, 80));
      expect(program.log).toContain("SyncProxyRules complete");
    });
    expect(await ask(lab.pod2, CLUSTER_IP, 80)).toBe("pod1 10.244.1.3");
    for (const answer of answers) expect(answer).toMatch(/^pod[12] /);
  });

  it("SIGTERM ends it well while it waits for its node", { timeout: 30_000 }, async () => {
    const waiting = new Program("--config", config, "--hostname-override=nobody");
    await waiting.shows('"Waiting for the node" node="nobody"');
    waiting.child.kill("SIGTERM");
    expect(await waiting.ends()).toBe(0);
    expect(waiting.log).toMatch(/"Stopping" why="SIGTERM: the rules stay"\n$/);
  });

  it("ends when its file changes, as upstream does", { timeout: 30_000 }, async () => {
    // The same text under the same name, as when a volume is mounted anew.
    writeFileSync(`${config}.new`, readFileSync(config));
    renameSync(`${config}.new`, config);
    appendFileSync(config, "# a comment\n");
    expect(await program.ends()).toBe(1);
    expect(program.log).toContain("content of the proxy server's configuration file was updated");
  });

  it("refuses a mode that the machine does not let it have, and a file that is wrong", {
    timeout: 30_000,
  }, async () => {
    // With rights in a network namespace of its own, and none in the machine.
    Program.wrapper = ["unshare", "--user", "--map-root-user", "--net"];
    const flags = new Program("--proxy-mode=ebpf", `--kubeconfig=${kubeconfig}`);
    Program.wrapper = [];
    const wrong = join(api.directory, "wrong.conf");
    writeFileSync(wrong, "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmood: good\n");
    const file = new Program("--config", wrong);
    expect([await flags.ends(), await file.ends()]).toEqual([1, 1]);
    expect(flags.log).toContain(
      `kube-proxy: mode: "ebpf" is not possible: it loads programs into the kernel, for which this process has to be root of the machine (CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN in the initial user namespace; a lab's nodes have them with podwire up --privileged): bpf: EPERM`,
    );
    expect(file.log).toContain(`kube-proxy: ${wrong}:3: unknown field "mood"; allowed are featureGates,`);
  });

  it("mode userspace relays by the process, and the former mode's rules go", { timeout: 60_000 }, async () => {
    const flags = ["--proxy-mode=userspace", "--udp-timeout=1s", "--cluster-cidr=10.244.0.0/16", "--v=4"];
    program = new Program(...flags, `--kubeconfig=${kubeconfig}`, "--hostname-override=node01");
    await program.shows(/"Using userspace Proxier" proxyMode="userspace"/);
    await eventually(async () => expect(await tables()).not.toContain(SERVICES_TABLE));
    // The node's address on the way to pods.
    expect(await ask(lab.pod2, CLUSTER_IP, 80)).toBe("pod1 10.244.1.1");
    await program.shows('"Mapped service to endpoint" service="default/web:http" endpoint="10.244.1.2:8080"');
    await eventually(async () =>
      expect(await page(lab.node, "127.0.0.1", METRICS_PORT, "/proxyMode")).toEqual([200, "userspace"]),
    );
    program.child.kill("SIGTERM");
    expect(await program.ends()).toBe(0);
    expect(await ask(lab.pod2, CLUSTER_IP, 80)).toBe("ECONNREFUSED");
  });

  it("--cleanup removes everything", { timeout: 30_000 }, async () => {
    expect(await tables()).toContain(USERSPACE_TABLE);
    const cleanup = new Program("--cleanup");
    expect(await cleanup.ends()).toBe(0);
    expect(await tables()).not.toContain(USERSPACE_TABLE);
    expect(await ask(lab.pod2, CLUSTER_IP, 80, 300)).not.toMatch(/^pod/);
  });

  it("V04 mode ebpf: sockets of its control groups are translated", { ...ifEbpf(), timeout: 60_000 }, async () => {
    const group = new TestGroup();
    // As a node of several on one machine: the root of control groups is its own.
    const mounted = 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"';
    Program.wrapper = ["unshare", "--cgroup", "--mount", "sh", "-c", mounted, "sh"];
    Program.group = group;
    lab.pod2.group = group;
    try {
      const flags = ["--proxy-mode=ebpf", `--kubeconfig=${kubeconfig}`, "--hostname-override=node01"];
      program = new Program(...flags, "--cluster-cidr=10.244.0.0/16");
      await program.shows(/"Using ebpf Proxier" proxyMode="ebpf"/);
      await eventually(async () => expect(await ask(lab.pod2, CLUSTER_IP, 80)).toBe("pod1 10.244.1.3"));
      await program.shows("SyncProxyRules complete");
      program.child.kill("SIGKILL");
      await program.ends();
      expect([await tables(), hasEbpfPrograms(() => group.folder)]).toEqual([[EBPF_TABLE, EBPF_TABLE], true]);
      expect(await ask(lab.pod2, CLUSTER_IP, 80)).toBe("pod1 10.244.1.3");
      expect(await new Program("--cleanup").ends()).toBe(0);
      expect([await tables(), hasEbpfPrograms(() => group.folder)]).toEqual([[], false]);
    } finally {
      Program.wrapper = [];
      Program.group = undefined;
      delete lab.pod2.group;
      group.close();
    }
  });

  it("V04 mode iptables: kube-proxy's chains move the packets; another mode removes them", { timeout: 60_000 }, async ({
    skip,
  }) => {
    const rules = () => inNetns(lab.node, () => execFileSync("iptables-save", { encoding: "utf8" }));
    if (spawnSync("iptables", ["--version"]).error) skip("this machine has no iptables");
    const other = join(api.directory, "iptables.conf");
    writeFileSync(other, readFileSync(config, "utf8").replace("mode: nftables", "mode: iptables"));
    program = new Program("--config", other, "--hostname-override=node01");
    await program.shows(/"SyncProxyRules complete"/);
    expect(program.log).toMatch(/"Using iptables Proxier" proxyMode="iptables"$/m);
    expect(await page(lab.node, "127.0.0.1", METRICS_PORT, "/proxyMode")).toEqual([200, "iptables"]);
    expect(await ask(lab.pod2, CLUSTER_IP, 80)).toBe("pod1 10.244.1.3");
    expect(rules()).toContain('"default/web:http cluster IP"');
    program.child.kill("SIGTERM");
    expect(await program.ends()).toBe(0);
    program = new Program("--config", config, "--hostname-override=node01");
    await eventually(async () => expect(rules()).not.toContain("KUBE-"));
    expect(await ask(lab.pod2, CLUSTER_IP, 80)).toBe("pod1 10.244.1.3");
  });

  it("V04 mode ipvs: virtual servers move the packets; a wrong scheduler is refused; --cleanup removes them", {
    ...ifIpvs(),
    timeout: 120_000,
  }, async () => {
    const onNode = <T>(work: () => T): T => inNetns(lab.node, work);
    const flags = ["--cluster-cidr=10.244.0.0/16", `--kubeconfig=${kubeconfig}`, "--hostname-override=node01"];
    const refused = new Program("--proxy-mode=ipvs", "--ipvs-scheduler=nosuch", ...flags);
    expect(await refused.ends()).toBe(1);
    expect(refused.log).toContain('kube-proxy: can\'t use the IPVS proxier: the kernel has no scheduler "nosuch"');
    program = new Program("--proxy-mode=ipvs", ...flags);
    await program.shows(/"SyncProxyRules complete"/);
    expect(program.log).toMatch(/"Using ipvs Proxier" proxyMode="ipvs"$/m);
    expect(program.log).toContain("The ipvs proxier is now deprecated");
    expect(await page(lab.node, "127.0.0.1", METRICS_PORT, "/proxyMode")).toEqual([200, "ipvs"]);
    const [, metrics] = await page(lab.node, "127.0.0.1", METRICS_PORT, "/metrics");
    expect(metrics).toMatch(/^kubeproxy_sync_full_proxy_rules_duration_seconds_count\{ip_family="IPv4"\} [1-9]/m);
    expect(metrics).toMatch(/^podwire_services_ipvs_servers\{kind="virtual"\} [1-9]/m);
    expect(await ask(lab.pod1, CLUSTER_IP, 80)).toMatch(/^pod[12] 10\.244\.1\./);
    expect(await tables()).not.toContain(SERVICES_TABLE);
    program.child.kill("SIGTERM");
    expect(await program.ends()).toBe(0);
    expect(await ask(lab.pod1, CLUSTER_IP, 80)).toMatch(/^pod[12] /);
    expect(await new Program("--cleanup").ends()).toBe(0);
    expect(await tables()).not.toContain(IPVS_TABLE);
    expect(onNode(() => readFileSync("/proc/thread-self/net/dev", "utf8"))).not.toContain(IPVS_DEVICE);
    expect(onNode(() => readFileSync("/proc/thread-self/net/ip_vs", "utf8"))).not.toMatch(/^TCP/m);
  });
});
