import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/firstLight.ts";
import { Kubectl } from "../support/kubectl.ts";
import { makeStaging, type Staging } from "../support/staging.ts";
import { people, type User } from "../support/user.ts";

/** Addresses that host-local has given away on a node (one file each, named after the address). */
const LEASES = "ls /var/lib/cni/networks/*/ | grep '^10\\.244\\.'";

/** Numbers of a line of /proc/PID/status; none when the process has ended. */
function field(pid: number | string, name: string): number[] {
  try {
    const line = readFileSync(`/proc/${pid}/status`, "latin1").match(new RegExp(`^${name}:(.*)$`, "m"));
    return line?.[1]?.trim().split(/\s+/).map(Number) ?? [];
  } catch {
    return [];
  }
}

function isBelow(pid: number, ancestor: number): boolean {
  for (let at = pid; at > 1; at = field(at, "PPid")[0] ?? 0) if (at === ancestor) return true;
  return false;
}

const WHOSE =
  process.env["PODWIRE_LONG"] === "1" ? (["root", "an ordinary user"] as const) : (["an ordinary user"] as const);

people.describe("K01 nodes come and go (part: in the cluster of %s)", WHOSE, (who) => {
  let staging: Staging;
  let user: User | undefined;
  let cluster: TestCluster;
  let kubectl: Kubectl;

  beforeAll(async () => {
    staging = makeStaging();
    user = people.user(who);
    cluster = new TestCluster({ staging, ...(user ? { user } : {}), flags: ["--nodes=2", "--ingress=none"] });
    await cluster.ready();
    kubectl = new Kubectl((await cluster.status()).kubeconfig, cluster.temporary);
  });
  afterAll(async () => {
    await cluster?.stop();
    user?.remove();
    staging.remove();
  });

  const nodeOf = async (name: string) => (await cluster.status()).nodes.find((node) => node.name === name);
  /** Process id, as the host sees it, of a machine's first process: the lab's child with the id that the lab knows. */
  const initOnHost = async (machine: string): Promise<number> => {
    const { lab, machine: inside } = await cluster.enter(machine);
    const found = readdirSync("/proc").filter((pid) => {
      const ids = /^\d+$/.test(pid) ? field(pid, "NSpid") : [];
      return ids.at(-1) === 1 && ids.at(-2) === inside && isBelow(Number(pid), lab);
    });
    expect(found).toHaveLength(1);
    return Number(found[0]);
  };
  const addressOf = (pod: string) => kubectl.ok(`get pod ${pod} -o jsonpath={.status.podIP}`);
  const restartsOf = (pod: string) =>
    kubectl.ok(`get pod ${pod} -o jsonpath={.status.containerStatuses[0].restartCount}`);

  it("a node that is added is ready, known by name, and runs pods that others reach", async () => {
    const added = await cluster.podwire("node", "add");
    expect(added.stdout).toMatch(/^node node02 added: 192\.168\.1\.12, on the host 127\.\d+\.\d+\.12; it is ready\n$/);
    expect(await kubectl.ok("get node node02 -o jsonpath={.spec.podCIDR}")).toBe("10.244.2.0/24");
    expect(await cluster.sh("node01", "ping -c1 -W5 node02")).toMatchObject({ code: 0 });
    expect(await cluster.sh("node02", "ping -c1 -W5 controlplane")).toMatchObject({ code: 0 });
    const overrides = JSON.stringify({ spec: { nodeName: "node02" } });
    await kubectl.okWords(["run", "guest", "--image=podwire/echo", `--overrides=${overrides}`]);
    await kubectl.ok("wait --for=condition=Ready pod/guest --timeout=60s");
    const address = await addressOf("guest");
    expect(await cluster.sh("node01", `curl -s --max-time 5 http://${address}:8080/`)).toMatchObject({ code: 0 });
  });

  it("a node that is stopped says so, and has neither processes nor network", async () => {
    expect(await cluster.podwire("node", "stop", "node02")).toMatchObject({ code: 0 });
    expect(await nodeOf("node02")).toMatchObject({ machine: "stopped" });
    expect((await cluster.status()).reasons).toContain("node node02 is stopped: podwire node start node02");
    expect(await cluster.sh("node01", "ping -c1 -W1 node02")).toMatchObject({ code: 1 });
    expect((await cluster.sh("node02", "true")).stderr).toContain(
      "machine node02 is stopped; podwire node start node02 starts it",
    );
  });

  it("one that is started again runs its pods anew, with as many addresses as before", async () => {
    expect((await cluster.podwire("node", "start", "node02")).stdout).toBe("node node02 started; it is ready\n");
    await eventually(async () => expect(await restartsOf("guest")).toBe("1"));
    await kubectl.ok("wait --for=condition=Ready pod/guest --timeout=60s");
    const address = await addressOf("guest");
    expect(await cluster.sh("node01", `curl -s --max-time 5 http://${address}:8080/`)).toMatchObject({ code: 0 });
    expect((await cluster.sh("node02", LEASES)).stdout).toBe(`${address}\n`);
    expect(await kubectl.ok("get events --field-selector reason=SandboxChanged -o name")).not.toBe("");
  });

  it("one whose first process was killed is told by name, and can be started", async () => {
    process.kill(await initOnHost("node02"), "SIGKILL");
    await eventually(async () => expect(await nodeOf("node02")).toMatchObject({ machine: "stopped" }));
    const { reasons, state } = await cluster.status();
    expect(state).toBe("degraded");
    expect(reasons).toContain("node node02 ended (signal 9): podwire node start node02");
    expect((await cluster.podwire("node", "start", "node02")).stdout).toBe("node node02 started; it is ready\n");
    await eventually(async () => expect(await restartsOf("guest")).toBe("2"));
    await kubectl.ok("wait --for=condition=Ready pod/guest --timeout=60s");
  });

  it("a paused one stands still, and goes on where it was", async () => {
    await cluster.podwire("node", "pause", "node02");
    expect(await nodeOf("node02")).toMatchObject({ machine: "paused" });
    const agent = await cluster.sh("node02", "ps -eo stat,args | grep '[k]ubelet'");
    expect(agent.stdout).toMatch(/^T/);
    const restarts = await restartsOf("guest");
    expect((await cluster.podwire("node", "start", "node02")).stdout).toBe("node node02 started; it is ready\n");
    expect(await nodeOf("node02")).toMatchObject({ machine: "running" });
    const address = await addressOf("guest");
    expect(await cluster.sh("node01", `curl -s --max-time 5 http://${address}:8080/`)).toMatchObject({ code: 0 });
    expect(await restartsOf("guest")).toBe(restarts);
  });

  it("a removed one is forgotten, and its place and name can be taken again", async () => {
    expect((await cluster.podwire("node", "rm", "node02")).stdout).toContain("node node02 removed");
    expect(await nodeOf("node02")).toBeUndefined();
    expect(await kubectl.fails("get node node02")).toContain('nodes "node02" not found');
    expect((await cluster.sh("node01", "grep -c node02 /etc/hosts")).stdout).toBe("0\n");
    const added = JSON.parse((await cluster.podwire("node", "add", "big", "--json")).stdout) as object;
    expect(added).toMatchObject({ name: "big", addresses: ["192.168.1.12"], ready: true });
  });

  it("a worker has the folder of static pods", async () => {
    expect(await cluster.sh("node01", "ls -A /etc/kubernetes/manifests")).toMatchObject({ code: 0, stdout: "" });
  });

  it.each([
    [["node", "rm", "nope"], 'no node "nope"; there are controlplane, node01, big'],
    [["node", "rm", "controlplane"], "node controlplane is the control plane"],
    [["node", "add", "node01"], 'there is a node "node01" already'],
    [["node", "add", "x", "--address", "192.168.1.1"], "address 192.168.1.1 is the router's"],
    [["node", "add", "x", "--address", "10.1.1.1"], "is not in the node network 192.168.1.0/24"],
    [["node", "add", "UP"], 'found "UP"; allowed are lower-case letters'],
  ])("refuses %j, and nothing has changed", async (command, message) => {
    const before = (await cluster.status()).nodes;
    const { code, stderr } = await cluster.podwire(...command);
    expect([code === 0, stderr]).toEqual([false, expect.stringContaining(message)]);
    expect((await cluster.status()).nodes).toEqual(before);
  });

  it("without the control plane what needs it is refused at once, and it can be started again", async () => {
    const stopped = await cluster.podwire("node", "stop", "controlplane");
    expect(stopped.stdout).toContain("kubectl and the API do not answer until podwire node start controlplane");
    const before = (await cluster.status()).nodes;
    for (const command of [
      ["rm", "node01"],
      ["add", "late"],
    ]) {
      const { code, stderr } = await cluster.podwire("node", ...command);
      const reason = "the control plane is stopped: podwire node start controlplane";
      expect([code === 0, stderr]).toEqual([false, expect.stringContaining(reason)]);
    }
    expect((await cluster.status()).nodes).toEqual(before);
    expect((await cluster.podwire("status")).stdout).toMatch(/^controlplane .* stopped$/m);
    const started = await cluster.podwire("node", "start", "controlplane");
    expect(started.stdout).toContain("node controlplane started");
    await eventually(async () => expect(await kubectl.ok("get nodes -o name")).toContain("node/node01"));
  });
});
