import { checkEbpf } from "#services/index.ts";
import type { ServiceHarness } from "../compliance/services.ts";

/** Whether this machine lets the tests load programs. */
export function canUseEbpf(): boolean {
  try {
    checkEbpf();
    return true;
  } catch {
    return false;
  }
}

const own = "the connection is the pod's own to the endpoint: nobody on the way puts the node's address there";
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
