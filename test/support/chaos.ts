import { expect, it } from "vitest";
import type { TestCluster } from "./cluster.ts";
import { eventually } from "./firstLight.ts";
import { random } from "./kills.ts";

const NODES = ["node01", "node02"] as const;
const SIGKILL = 9;
/** What is killed: a Deployment of this many pods on all nodes. */
const CROWD = { name: "crowd", pods: 6 } as const;
/** Longest time between two kills, in ms. */
const PAUSE_MS = 700;

/**
 * What pods leave on a node when they are not taken away whole, as lines by kind. The bridge and the program that
 * answers for podwire/echo come with the first pod and stay.
 */
const TRACES: Readonly<Record<string, string>> = {
  processes: "ps -e -o args= | grep -E '^(/usr/bin/)?(tini|sleep|nginx|podwire)' | grep -v -e --socket= | sort",
  inside: "for p in /proc/[0-9]*; do cat $p/root/etc/hostname 2>/dev/null; done | sort -u",
  namespaces: "ls /run/netns | sort",
  mounts: "cut -d' ' -f5 /proc/self/mountinfo | sort",
  links: "ip -o link | cut -d: -f2 | grep -v -w cni0 | sort",
  leases: "ls /var/lib/cni/networks/*/ | grep '^10\\.244\\.' | sort",
  groups: "find /sys/fs/cgroup -type d | sort",
  folders: "ls /var/lib/kubelet/pods | sort",
};

async function traces(cluster: TestCluster): Promise<Record<string, string>> {
  const entries = NODES.flatMap((node) =>
    Object.entries(TRACES).map(async ([kind, script]) => [`${node} ${kind}`, (await cluster.sh(node, script)).stdout]),
  );
  return Object.fromEntries(await Promise.all(entries)) as Record<string, string>;
}

/** One of some; undefined when there are none. */
function oneOf<T>(some: readonly T[], pick: () => number): T | undefined {
  return some[Math.floor(pick() * some.length)];
}

/** Kills by kind: each does one thing and says which, or undefined when there was nobody to kill. */
const KILLS: readonly ((cluster: TestCluster, pick: () => number) => Promise<string | undefined>)[] = [
  async function agent(cluster, pick) {
    const node = oneOf(NODES, pick) as string;
    try {
      await cluster.signal(`kubelet/${node}`, SIGKILL);
    } catch {
      // It is on its way back from the kill before.
      return undefined;
    }
    return `agent of ${node}`;
  },
  async function container(cluster, pick) {
    const node = oneOf(NODES, pick) as string;
    const list = `for p in /proc/[0-9]*; do grep -q '^${CROWD.name}-' $p/root/etc/hostname && echo \${p#/proc/}; done`;
    const pid = oneOf((await cluster.sh(node, list)).stdout.split("\n").filter(Boolean), pick);
    if (pid === undefined || (await cluster.sh(node, `kill -9 ${pid}`)).code !== 0) return undefined;
    return `process ${pid} of ${node}`;
  },
  async function pod(cluster, pick) {
    const names = await cluster.ok("get", "pods", "-l", `app=${CROWD.name}`, "-o", "name");
    const name = oneOf(names.split("\n").filter(Boolean), pick);
    if (name === undefined) return undefined;
    await cluster.ok("delete", name, "--grace-period=1", "--wait=false", "--ignore-not-found");
    return name;
  },
];

/** Starts the pods that are to be killed; resolves when they are ready. */
export async function startCrowd(cluster: TestCluster): Promise<void> {
  await cluster.ok("create", "deployment", CROWD.name, "--image=podwire/echo", `--replicas=${CROWD.pods}`);
  await cluster.ok("rollout", "status", `deployment/${CROWD.name}`, "--timeout=60s");
}

/** Kills agents, containers and pods at random moments. @returns what was killed, in order */
export async function wreak(cluster: TestCluster, pick: () => number, seconds: number): Promise<string[]> {
  const killed: string[] = [];
  const until = Date.now() + seconds * 1000;
  // Each of them once, then whichever.
  for (let turn = 0; turn < KILLS.length || Date.now() < until; turn++) {
    const kill = KILLS[turn] ?? oneOf(KILLS, pick);
    const victim = await kill?.(cluster, pick);
    if (victim !== undefined) killed.push(victim);
    await new Promise((resolve) => setTimeout(resolve, pick() * PAUSE_MS));
  }
  return killed;
}

/**
 * A test: agents and containers of a cluster are killed at random; a pod that is not among them lives on, and what they
 * were made of is gone with them.
 */
export function chaosTest(cluster: () => TestCluster, { seconds, seed }: { seconds: number; seed: number }): void {
  it(`lose no container that lives and keep nothing of those that do not (${seconds} s of kills, seed ${seed})`, {
    timeout: seconds * 1000 + 300_000,
  }, async () => {
    const own = cluster();
    const bystander = () =>
      own.ok("get", "pod", "bystander", "-o", "jsonpath={.metadata.uid} {.status.podIP} {.status.containerStatuses}");
    const before = await traces(own);
    await own.toolbox("bystander", "node01");
    const alive = await bystander();
    await startCrowd(own);
    const killed = await wreak(own, random(seed), seconds);
    // New ones come without the delay that belongs to what was killed often.
    await own.ok("delete", "pods", "-l", `app=${CROWD.name}`, "--grace-period=1", "--timeout=90s");
    await own.ok("rollout", "status", `deployment/${CROWD.name}`, "--timeout=90s");
    expect({ seed, killed, bystander: await bystander() }).toEqual({ seed, killed, bystander: alive });
    expect((await own.inPod("bystander", "hostname")).stdout).toBe("bystander\n");
    await own.ok("delete", "deployment", CROWD.name, "--cascade=foreground", "--timeout=90s");
    await own.ok("delete", "pod", "bystander", "--grace-period=1", "--timeout=60s");
    await eventually(async () => {
      const left = await traces(own);
      expect({ seed, killed, left }).toEqual({ seed, killed, left: before });
    }, 60_000);
  });
}
