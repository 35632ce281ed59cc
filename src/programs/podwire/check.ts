import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import pc from "picocolors";
import { Client, http2Transport, loadKubeconfig, type Node, type Pod, resources, type Service } from "#api/index.ts";
import { PodwireError } from "#base/errors.ts";
import {
  connectivityFindings,
  type Finding,
  networkPods,
  type ProbeOrder,
  type ProbeReport,
  portFindings,
} from "#check/index.ts";
import type { ClusterStatus } from "#lab/parent/index.ts";
import { commandOn } from "./enter.ts";
import { ask } from "./query.ts";

const WHAT = ["all", "pods", "ports"] as const;
const PROBE = ["/opt/podwire/bin/node", "/opt/podwire/dist/probe.cjs"] as const;
/** Probes use this UDP port in every pod. */
const PORT = 47_999;

interface Cluster {
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  readonly services: readonly Service[];
}

async function readCluster(kubeconfig: string): Promise<Cluster> {
  const transport = http2Transport(await loadKubeconfig(kubeconfig));
  try {
    const client = new Client(transport, { userAgent: "podwire" });
    const [nodes, pods, services] = await Promise.all([
      client.list(resources.nodes, {}),
      client.list(resources.pods, {}),
      client.list(resources.services, {}),
    ]);
    return { nodes: nodes.items, pods: pods.items, services: services.items };
  } finally {
    await transport.close();
  }
}

/** A probe running on one node. */
class RemoteProbe {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #node: string;
  #words = "";

  constructor(node: string, [program, ...args]: [string, ...string[]]) {
    this.#node = node;
    this.#child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], cwd: "/", detached: true });
    this.#child.stderr?.on("data", (data: Buffer) => {
      this.#words += data.toString();
    });
    this.#lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  }

  async exchange(line: string): Promise<string> {
    this.#child.stdin?.write(`${line}\n`);
    const { value, done } = await this.#lines.next();
    if (done)
      throw new PodwireError(
        "ProbeFailed",
        `the probe on ${this.#node} ended: ${this.#words.trim() || "no reason given"}`,
      );
    return value;
  }

  end(): void {
    this.#child.stdin?.end();
  }
}

async function probe(name: string, orders: readonly ProbeOrder[]): Promise<ProbeReport[]> {
  const probes = await Promise.all(
    orders.map(async ({ node }) => new RemoteProbe(node, await commandOn(name, node, PROBE))),
  );
  try {
    // All sockets are open before the first datagram is sent.
    await Promise.all(probes.map((p, i) => p.exchange(JSON.stringify(orders[i]))));
    return (await Promise.all(probes.map((p) => p.exchange("go")))).map((line) => JSON.parse(line) as ProbeReport);
  } finally {
    for (const p of probes) p.end();
  }
}

/** `podwire check` @returns 0 when no finding is other than it should be */
export async function runCheck(
  what: string,
  flags: { readonly name: string; readonly json?: boolean },
): Promise<number> {
  if (!WHAT.includes(what as (typeof WHAT)[number]))
    throw new PodwireError("InvalidConfig", `check: found "${what}"; allowed are ${WHAT.join(", ")}`);
  const status = (await ask(flags.name, { command: "status" })) as ClusterStatus;
  const cluster = await readCluster(status.kubeconfig);
  const { withAddress, without } = networkPods(cluster.pods);
  const orders = status.nodes.map(
    ({ name }): ProbeOrder => ({
      node: name,
      port: PORT,
      pods: withAddress.filter((p) => p.node === name),
      targets: withAddress,
    }),
  );
  const reports = await probe(flags.name, orders);
  const findings = [
    ...(what === "ports" ? [] : connectivityFindings(withAddress, without, reports)),
    ...(what === "pods" ? [] : portFindings(cluster.nodes, cluster.services, reports)),
  ];
  process.stdout.write(flags.json ? `${JSON.stringify(findings, null, 2)}\n` : text(findings));
  return findings.some((f) => f.ok === false) ? 1 : 0;
}

function mark({ ok }: Finding): string {
  if (ok === null) return pc.yellow("–");
  return ok ? pc.green("✓") : pc.red("✗");
}

function text(findings: readonly Finding[]): string {
  const lines = findings.flatMap((f) => {
    const shown = f.row === "K02" || !f.ok ? f.details : [];
    return [
      `${mark(f)} ${f.claim}`,
      ...shown.slice(0, 10).map((d) => `    ${d}`),
      ...(shown.length > 10 ? [`    … and ${shown.length - 10} more`] : []),
    ];
  });
  return `${lines.join("\n")}\n`;
}
