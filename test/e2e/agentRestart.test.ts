import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chaosTest } from "../support/chaos.ts";
import { TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/firstLight.ts";
import { makeStaging, type Staging } from "../support/staging.ts";
import { STREAM_PORT, STREAM_REPORT, type StreamReport, streamClient, streamServer } from "../support/streams.ts";

const KILLS = process.env["PODWIRE_LONG"] === "1" ? 20 : 4;
/** A network that goes away with its agent is gone for longer; a busy machine alone may let a program wait this long. */
const LONGEST_GAP_MS = 3000;
const SIGKILL = 9;
const NODES = ["node01", "node02"] as const;

interface PodFacts {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly status: {
    readonly podIP: string;
    readonly containerStatuses: readonly {
      containerID: string;
      ready: boolean;
      restartCount: number;
      state: unknown;
    }[];
  };
}

/** What an agent that comes back has to find and to leave as it is, as lines by kind. */
const FACTS: Readonly<Record<string, string>> = {
  processes:
    "ps -e -o pid=,args= | grep -E 'tini|sleep infinity|nginx|/bin/node -e|podwire-echo' | grep -v grep | sort",
  namespaces: "ls -i /run/netns | sort",
  links: "ip -o link | sed 's/ state .*//'",
  // IPv6 addresses are tentative for a second or two (RFC 4862, duplicate address detection).
  addresses: "ip -o addr | sed 's/ tentative//'",
  routes: "ip route show table all | sort",
  // The pods' entries go from stale to reachable and back as they are used; that is the kernel's own doing.
  neighbours:
    "ip neigh show nud permanent | sed 's/extern_learn .*/extern_learn/' | sort; bridge fdb show dev flannel.1 | sort",
  // With handles: a table that was made anew has other ones.
  rules: "nft -a list ruleset | sed 's/counter packets [0-9]* bytes [0-9]*//; s/ expires [0-9a-z]*//' | sort",
};

describe("killed agents", () => {
  let staging: Staging;
  let cluster: TestCluster;

  beforeAll(async () => {
    staging = makeStaging();
    cluster = new TestCluster({ staging });
    await cluster.ready();
    await cluster.podsReady();
    await cluster.toolbox("server", "node02", streamServer);
    await cluster.ok("expose", "pod", "server", `--port=${STREAM_PORT}`);
    const podIp = await cluster.ok("get", "pod", "server", "-o", "jsonpath={.status.podIP}");
    const clusterIp = await cluster.ok("get", "service", "server", "-o", "jsonpath={.spec.clusterIP}");
    await eventually(async () =>
      expect((await cluster.sh("node01", `nft list ruleset | grep -c ${clusterIp}`)).stdout).not.toBe("0\n"),
    );
    await cluster.toolbox("client", "node01", streamClient([podIp, clusterIp]));
  }, 120_000);
  afterAll(async () => {
    await cluster.stop();
    staging.remove();
  });

  const facts = async (node: string): Promise<Record<string, string>> => {
    const entries = Object.entries(FACTS).map(async ([kind, script]) => [
      kind,
      (await cluster.sh(node, script)).stdout,
    ]);
    return Object.fromEntries(await Promise.all(entries)) as Record<string, string>;
  };
  const allFacts = async () => Object.fromEntries(await Promise.all(NODES.map(async (n) => [n, await facts(n)])));
  const pods = async (): Promise<PodFacts[]> =>
    (JSON.parse(await cluster.ok("get", "pods", "-A", "-o", "json")) as { items: PodFacts[] }).items;
  const isMirror = ({ metadata }: PodFacts) => metadata.annotations?.["kubernetes.io/config.mirror"] !== undefined;
  // Mirror pods show the agent itself, which does start anew.
  const identities = async () =>
    (await pods())
      .filter((pod) => !isMirror(pod))
      .map(({ metadata, status }) => [metadata.uid, status.podIP, status.containerStatuses]);
  /** What the pods of kube-proxy and flannel on each node say of them. */
  const modules = async () =>
    (await pods())
      .filter(({ metadata }) => /^kube-(proxy|flannel-ds)-/.test(metadata.name))
      .flatMap(({ status }) => status.containerStatuses ?? []);
  const report = async (): Promise<Record<string, StreamReport>> =>
    JSON.parse((await cluster.inPod("client", STREAM_REPORT)).stdout);

  /** The facts once they have come to rest: nginx takes its old workers away, say, some time after a change. */
  async function settledFacts(): Promise<Record<string, Record<string, string>>> {
    let before = await allFacts();
    return eventually(async () => {
      const now = await allFacts();
      const last = before;
      before = now;
      expect(now).toEqual(last);
      return now;
    });
  }

  /** Resolves when the agent of a node runs anew and has adopted its pods. */
  async function back(node: string, restarts: number): Promise<void> {
    await eventually(async () => {
      const { processes } = await cluster.status();
      expect(processes.find((p) => p.name === `kubelet/${node}`)).toMatchObject({ state: "running", restarts });
    });
    const pod = node === "node01" ? "client" : "server";
    await eventually(async () => expect((await cluster.inPod(pod, "hostname")).stdout).toBe(`${pod}\n`));
  }

  it(`P06 V02 come back to pods and rules as they should be; two streams lose nothing over ${KILLS} kills (part: killed agents)`, {
    timeout: 60_000 + KILLS * 40_000,
  }, async () => {
    await eventually(async () => expect((await modules()).filter(({ ready }) => ready)).toHaveLength(6));
    const [factsBefore, podsBefore] = [await settledFacts(), await identities()];
    expect(factsBefore["node01"]?.["rules"]).toContain("# handle");
    expect(factsBefore["node01"]?.["processes"]).toContain("podwire-echo");
    for (let kill = 0; kill < KILLS; kill++) {
      const node = NODES[kill % NODES.length] as string;
      await cluster.signal(`kubelet/${node}`, SIGKILL);
      await back(node, Math.floor(kill / NODES.length) + 1);
      expect(await identities()).toEqual(podsBefore);
    }
    await eventually(async () => expect(await allFacts()).toEqual(factsBefore));
    expect(await identities()).toEqual(podsBefore);
    await eventually(async () => {
      const shown = await modules();
      expect(shown.filter(({ ready }) => ready)).toHaveLength(6);
      expect(shown.filter(({ restartCount }) => restartCount > 0)).toHaveLength(4);
    });

    // Some numbers are always on their way; a stream that lost one never catches up.
    await eventually(async () => {
      const streams = Object.values(await report());
      expect(streams).toHaveLength(2);
      for (const stream of streams) {
        expect(stream).toMatchObject({ wrong: 0, breaks: [] });
        expect(stream.sent).toBeGreaterThan(KILLS * 20);
        expect(stream.sent - stream.received).toBeLessThan(20);
        expect(stream.longestGapMs).toBeLessThan(LONGEST_GAP_MS);
      }
    });
    const { state, processes } = await cluster.status();
    expect({ state, restarts: processes.map((p) => [p.name, p.restarts]) }).toEqual({
      state: "ready",
      restarts: [
        ["kube-apiserver", 0],
        ["kubelet/controlplane", 0],
        ["kubelet/node01", KILLS / 2],
        ["kubelet/node02", KILLS / 2],
      ],
    });
  });

  it("U01 logs from before a kill and exec work afterwards (part: killed agents)", async () => {
    expect(await cluster.ok("logs", "server")).toBe("serving\n");
    expect((await cluster.inPod("client", "exit 3")).code).toBe(3);
    const wear = (await cluster.ok("get", "pods", "-n", "app-space", "-l", "app=wear", "-o", "name"))
      .trim()
      .split("\n");
    for (const pod of wear)
      expect(await cluster.ok("exec", "-n", "app-space", pod, "--", "hostname")).toBe(`${pod.split("/")[1]}\n`);
  });

  it("pods are made, changed and deleted by the agent that came back", async () => {
    await cluster.toolbox("after", "node01");
    expect((await cluster.inPod("after", "nslookup wear-service.app-space")).stdout).toContain("Address");
    await cluster.ok("delete", "pod", "after", "client", "--grace-period=1");
    await eventually(async () =>
      expect((await cluster.sh("node01", "ps -e -o args=")).stdout).not.toContain("createServer"),
    );
    await eventually(async () => {
      const names = (await pods()).map((p) => p.metadata.name);
      expect(names).not.toContain("client");
    });
  });

  chaosTest(() => cluster, { seconds: 8, seed: Number(process.env["PODWIRE_TEST_SEED"] ?? 1) });
});
