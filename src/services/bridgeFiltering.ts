import { readFileSync } from "node:fs";
import { sysctlPath } from "#kernel/namespaces/index.ts";

/** Whether packets that stay on a bridge pass the rules of a family. */
export interface BridgeFiltering {
  readonly family: "ip" | "ip6";
  readonly state: "on" | "off" | "missing";
  /** What goes wrong otherwise, and the command that mends it. Absent when it is on. */
  readonly problem?: string;
}

/**
 * A pod that reaches a Service whose endpoint sits on the same bridge gets its answer by the bridge alone. Unless
 * bridged packets pass the rules, the answer keeps the endpoint's address and the client drops it.
 * Looks in the network namespace of the calling thread.
 */
export function bridgeFiltering(
  read: (path: string) => string = (path) => readFileSync(path, "utf8"),
): BridgeFiltering[] {
  return (["ip", "ip6"] as const).map((family) => {
    const name = `net.bridge.bridge-nf-call-${family}tables`;
    let value: string;
    try {
      value = read(sysctlPath(name)).trim();
    } catch {
      const problem = "a Service whose endpoint is on the client's own node will not answer: modprobe br_netfilter";
      return { family, state: "missing", problem };
    }
    if (value === "1") return { family, state: "on" };
    const problem = `a Service whose endpoint is on the client's own node will not answer: sysctl -w ${name}=1`;
    return { family, state: "off", problem };
  });
}
