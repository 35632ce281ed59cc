import { closeSync, openSync } from "node:fs";
import { parseIp } from "#base/ip.ts";
import { attachedPrograms, bpfCall, HOOK, type Hook } from "#kernel/bpf/index.ts";
import { checkEbpf, type ServiceBackend, serviceFrontends } from "#services/index.ts";
import { service, slice } from "#services/testing/objects.ts";
import type { ServiceHarness } from "../compliance/services.ts";

/** Skips, with the reason for the counts at the end of a run, where this machine does not let the tests load programs. */
export function ifEbpf(): { readonly skip?: true; readonly meta?: { readonly skipReason: string } } {
  try {
    checkEbpf();
    return {};
  } catch (error) {
    return { skip: true, meta: { skipReason: (error as Error).message } };
  }
}

const own = {
  reason: "the connection is the pod's own to the endpoint: nobody on the way puts the node's address there",
  instead: "sees pod1",
} as const;
const kept = [
  "ClusterIP, a pod itself",
  "a limited LoadBalancer's NodePort is not limited",
  ...["NodePort", "ExternalIP", "LoadBalancer"].flatMap((kind) => [
    `${kind}, endpoint on this node`,
    `${kind}, endpoint on another node`,
    `${kind} with internalTrafficPolicy Local, none on this node`,
  ]),
];

/** The mode in the suite. What it cannot do: to hide pods' addresses from endpoints. */
export const ebpfHarness: ServiceHarness = {
  mode: "ebpf",
  isGrouped: true,
  make: (lab, settings) => lab.ebpf(lab.openNft(), settings),
  exceptions: Object.fromEntries(
    kept.flatMap((name) => ["TCP", "UDP"].map((protocol) => [`${name}: pod1, ${protocol}`, own])),
  ),
};

/** Where the mode has programs. */
export const hooks = Object.keys(HOOK) as Hook[];

/** Ids of programs at all hooks of a group. */
export function attached(folder: string): number[] {
  const group = openSync(folder, "r");
  try {
    return hooks.flatMap((hook) => attachedPrograms(bpfCall, group, hook));
  } finally {
    closeSync(group);
  }
}

/** Does with a backend what a proxy would do for one Service. */
export async function commit(backend: ServiceBackend, clusterIP: string, endpoints: string[]): Promise<void> {
  const node = { name: "node01", addresses: [parseIp("192.168.1.11")] };
  backend.setNode(node);
  const frontends = serviceFrontends(service("web", { clusterIP }), [slice("web", endpoints)], node);
  backend.setService("shop/web", frontends);
  await backend.readBack();
  await backend.commit();
}
