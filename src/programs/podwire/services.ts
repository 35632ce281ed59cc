import { Client, http2Transport, loadKubeconfig, resources } from "#api/index.ts";
import type { ClusterStatus } from "#lab/parent/index.ts";
import { answerText, type ClusterObjects, explainQuestion, type Viewpoint } from "#services/index.ts";
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
    return {
      services: services.items,
      slices: slices.items,
      nodes: nodes.items,
      pods: pods.items,
      ...(proxyConfig !== undefined && { proxyConfig }),
    };
  } finally {
    await transport.close();
  }
}
