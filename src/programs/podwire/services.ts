import { json } from "node:stream/consumers";
import { Client, http2Transport, loadKubeconfig, type Node, resources } from "#api/index.ts";
import type { ClusterStatus } from "#lab/parent/index.ts";
import { answerText, type ClusterObjects, explainQuestion, type ProxyFacts, type Viewpoint } from "#services/index.ts";
import { ask } from "./query.ts";

interface Flags extends Viewpoint {
  readonly name: string;
  readonly json?: boolean;
}

/** `podwire services explain QUESTION` */
export async function runExplain(question: string, { name, json, ...viewpoint }: Flags): Promise<void> {
  const { kubeconfig } = (await ask(name, { command: "status" })) as ClusterStatus;
  const answer = explainQuestion(await readObjects(kubeconfig), question, viewpoint);
  process.stdout.write(json ? `${JSON.stringify(answer, null, 2)}\n` : answerText(answer));
}

async function readObjects(kubeconfig: string): Promise<ClusterObjects> {
  const transport = http2Transport(await loadKubeconfig(kubeconfig));
  try {
    const client = new Client(transport, { userAgent: "podwire" });
    const proxy = { namespace: "kube-system", fieldSelector: "metadata.name=kube-proxy" };
    const [services, slices, nodes, pods, configMaps] = await Promise.all([
      client.list(resources.services, {}),
      client.list(resources.endpointSlices, {}),
      client.list(resources.nodes, {}),
      client.list(resources.pods, {}),
      client.list(resources.configMaps, proxy),
    ]);
    const proxyConfig = configMaps.items[0]?.data?.["config.conf"];
    const proxies = await proxiesOf(client, nodes.items);
    return {
      services: services.items,
      // A slice without endpoints has null there on the wire.
      slices: slices.items.map((slice) => ({ ...slice, endpoints: slice.endpoints ?? [] })),
      nodes: nodes.items,
      pods: pods.items,
      proxies,
      ...(proxyConfig !== undefined && { proxyConfig }),
    };
  } finally {
    await transport.close();
  }
}

/** A node that does not answer in this time, in ms, counts by what its object says. */
const PATIENCE_MS = 3000;

/** What the service proxies of nodes say whose agents answer. */
async function proxiesOf(client: Client, nodes: readonly Node[]): Promise<Map<string, ProxyFacts>> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const found = new Map<string, ProxyFacts>();
  const ask = async ({ metadata: { name } }: Node) => {
    try {
      const path = `/api/v1/nodes/${name}/proxy/podwire/service-proxy`;
      const { status, body } = await client.raw({ method: "GET", path, signal });
      const answer = (await json(body)) as ProxyFacts;
      if (status === 200) found.set(name, answer);
    } catch {
      // It does not answer, or is not an agent of this program.
    }
  };
  await Promise.all(nodes.map(ask));
  return found;
}
