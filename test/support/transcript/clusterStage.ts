import { Kubectl } from "../kubectl.ts";
import type { Stage } from "./suite.ts";

interface Config {
  readonly clusters: { cluster: { server: string; "certificate-authority-data": string } }[];
}

/**
 * A running cluster that pages share.
 * @param home folder of kubectl's own files
 * @param env additional variables of the pages' shells
 */
export async function clusterStage(
  kubeconfig: string,
  home: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Stage> {
  const kubectl = new Kubectl(kubeconfig, home);
  const [first] = (JSON.parse(await kubectl.ok("config view --raw -o json")) as Config).clusters;
  if (!first) throw new Error(`no cluster in ${kubeconfig}`);
  const ca = Buffer.from(first.cluster["certificate-authority-data"], "base64").toString();
  return { kubeconfig, server: first.cluster.server, ca, kubectl: kubectl.program, env, stop: async () => {} };
}
