import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { processesIn } from "#kernel/cgroups/index.ts";
import { attached, ifEbpf } from "../kernel/ebpfHarness.ts";
import { TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/firstLight.ts";
import { groupMount, hostState } from "../support/host.ts";
import { makeStaging, type Staging } from "../support/staging.ts";

const SERVICE = JSON.stringify({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web" },
  spec: {
    type: "NodePort",
    clusterIP: "10.96.0.80",
    selector: { run: "server" },
    ports: [{ port: 80, targetPort: 8080, nodePort: 30080 }],
  },
});
/** Connects to the Service, prints whom the kernel has as the peer, and what the server says. */
const CONNECT = `exec 3<>/dev/tcp/10.96.0.80/80
ss -Htn | awk '{print $5}' | grep -E ':(80|8080)$'
printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`;
/** Settings of /proc/sys that belong to a machine's own namespaces. */
const OWN = /^\/proc\/sys\/(net\/|fs\/mqueue\/|kernel\/(hostname|domainname|msg\w+|sem|shm\w+)$)/;

describe("a privileged cluster", ifEbpf(), () => {
  const before = hostState();
  let staging: Staging;
  let cluster: TestCluster;
  /** Its control group on this machine. */
  let group: string;
  let server: string;

  const namespaces = (pid: number) =>
    ["mnt", "net", "pid", "cgroup"].map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`));

  beforeAll(async () => {
    staging = makeStaging();
    const flags = ["--nodes", "2", "--example", "none", "--ingress", "none", "--privileged", "--proxy-mode", "ebpf"];
    cluster = new TestCluster({ staging, flags });
    await cluster.ready();
    const { lab } = await cluster.enter("node01");
    const own = /^0::(.*)\/lab$/m.exec(readFileSync(`/proc/${lab}/cgroup`, "utf8"))?.[1];
    group = `${groupMount()}${own}`;
    await Promise.all([
      cluster.toolbox("box", "controlplane"),
      cluster.toolbox("server", "node01", ["python3", "-m", "http.server", "8080"]),
      apply("create", SERVICE),
    ]);
    server = await cluster.ok("get", "pod", "server", "-o", "jsonpath={.status.podIP}");
  });
  afterAll(async () => {
    await cluster.stop();
    staging.remove();
  });

  async function apply(verb: "create" | "replace", object: string): Promise<void> {
    const file = join(cluster.directory, "object.json");
    writeFileSync(file, object);
    await cluster.ok(verb, "-f", file);
  }

  /** Sets the mode as a person does, and waits until every node has it. */
  async function setMode(mode: string): Promise<void> {
    const text = await cluster.ok("get", "configmap", "kube-proxy", "-n", "kube-system", "-o", "json");
    const map = JSON.parse(text) as { data: Record<string, string> };
    const config = map.data["config.conf"]?.replace(/^mode: .*$/m, `mode: ${mode}`);
    await apply("replace", JSON.stringify({ ...map, data: { ...map.data, "config.conf": config } }));
    const programs = mode === "ebpf" ? 8 : 0;
    for (const node of ["controlplane", "node01"])
      await eventually(async () => expect(attached(`${group}/${node}`)).toHaveLength(programs));
  }
  const connect = async () => (await cluster.kubectl("exec", "box", "--", "bash", "-c", CONNECT)).stdout;
  const tables = async () => (await cluster.sh("controlplane", "nft list tables")).stdout;

  it("V04 mode ebpf: pods' sockets are translated where they connect, NodePorts by the rules (part: in a lab)", async () => {
    await eventually(async () => expect(await connect()).toContain("200 OK"));
    expect(await connect()).toMatch(new RegExp(`^${server}:8080\n`));
    expect((await cluster.sh("router", "curl -s -m 9 -o /dev/null -w %{http_code} 192.168.1.10:30080")).stdout).toBe(
      "200",
    );
    const { stdout } = await cluster.podwire("services", "explain", "web", "--from", "box");
    expect(stdout).toContain("mode ebpf");
    expect(stdout).toContain("no: a program connects the socket to the endpoint itself");
    // On the node a command is in the group of the node's own processes.
    expect((await cluster.sh("node01", "grep ^0:: /proc/self/cgroup")).stdout).toBe("0::/system\n");
    for (const node of ["controlplane", "node01"]) expect(attached(`${group}/${node}`)).toHaveLength(8);
  });

  it("V04 the mode is changed by the ConfigMap, and nothing of the former stays (part: ebpf in a lab)", async () => {
    await setMode("nftables");
    await eventually(async () => expect(await tables()).not.toContain("podwire-ebpf"));
    expect(await connect()).toMatch(/^10\.96\.0\.80:80\nHTTP\/1\.0 200/);
    await setMode("ebpf");
    await eventually(async () => expect(await tables()).not.toContain("podwire-services"));
    expect(await connect()).toMatch(new RegExp(`^${server}:8080\nHTTP/1\\.0 200`));
  });

  it("its nodes and pods cannot set what is the whole machine's, nor open its disks, by any way that a slip takes", async () => {
    const node = (script: string) => cluster.sh("node01", script);
    const writable =
      "find /proc/sys /proc/acpi /proc/mtrr /proc/scsi /sys/kernel /sys/module /sys/block -type f -writable";
    const found = (await node(writable)).stdout.split("\n").filter(Boolean);
    expect(found).toContain("/proc/sys/net/ipv4/ip_forward");
    expect(found.filter((path) => !OWN.test(path))).toEqual([]);
    // As `ip netns exec` begins; in mounts of its own.
    const uncovered = await node(`unshare --mount sh -c "umount -l /sys && find /sys -type f -writable"`);
    expect(uncovered).toMatchObject({ code: 0, stdout: "" });
    expect((await node("echo b > /proc/sysrq-trigger")).code).not.toBe(0);
    expect((await node("date -s 2001-01-01")).code).not.toBe(0);
    expect((await node("touch /usr/x /opt/podwire/dist/x")).code).not.toBe(0);
    for (const sh of [node, (script: string) => cluster.inPod("box", script)])
      expect((await sh("mknod /tmp/disk b 8 0")).code).not.toBe(0);
    // Root of the machine can mount its devices; what is no other lab's device cannot be opened all the same.
    const devices = "mkdir -p /tmp/m && mount -t devtmpfs none /tmp/m && cd /tmp/m";
    expect((await node(`${devices} && head -c 1 zero | wc -c && head -c 1 kmsg; umount /tmp/m`)).stderr).toContain(
      "Operation not permitted",
    );
    expect((await node("ls -A /root /home; cat /etc/shadow")).stdout).not.toMatch(/\.ssh|\$y\$|\$6\$/);
    expect(hostState().mounts).toEqual(before.mounts);
  });

  // Programs are attached to the group and to those below it alone: what is attached goes with them.
  it("killed, it leaves no control group, and so no attached program, no mount and no namespace", async () => {
    const { lab } = await cluster.enter("node01");
    const [onNode = 0] = processesIn(`${group}/node01/system`);
    const mine = new Set([...namespaces(lab), ...namespaces(onNode)]);
    const gone = once(cluster.process, "exit");
    cluster.process.kill("SIGKILL");
    await gone;
    await eventually(async () => expect(existsSync(group)).toBe(false));
    await eventually(async () => expect(allNamespaces().filter((one) => mine.has(one))).toEqual([]));
    const { mounts, links } = hostState();
    expect({ mounts, links }).toEqual({ mounts: before.mounts, links: before.links });
  });
});

const pids = (): string[] => readdirSync("/proc").filter((name) => /^\d+$/.test(name));

/** Namespaces that a process of this machine is in. */
function allNamespaces(): string[] {
  return pids().flatMap((pid) =>
    ["mnt", "net", "pid", "cgroup"].flatMap((kind) => {
      try {
        return [readlinkSync(`/proc/${pid}/ns/${kind}`)];
      } catch {
        // It has ended meanwhile, or is the kernel's own.
        return [];
      }
    }),
  );
}
