import { hasCode } from "#base/errors.ts";
import type { Netns } from "#kernel/namespaces/index.ts";
import type { Rtnetlink } from "#kernel/netlink/index.ts";
import { CNI_ERROR, CniError } from "../errors.ts";
import type { PluginCall, PluginDeps } from "../plugin.ts";

/** What of the dependencies is needed to enter a container's namespace. */
export type SandboxDeps = Pick<PluginDeps, "openNetns" | "openRtnetlink">;

/**
 * Runs `work` with route netlink of the call's namespace.
 * @throws CniError INVALID_ENVIRONMENT when there is no such namespace
 */
export function inSandbox<T>(
  deps: SandboxDeps,
  call: PluginCall,
  work: (rtnl: Rtnetlink, netns: Pick<Netns, "fd">) => T,
): T {
  const netns = openSandbox(deps, call);
  try {
    const rtnl = deps.openRtnetlink(netns);
    try {
      return work(rtnl, netns);
    } finally {
      rtnl.close();
    }
  } finally {
    netns.close();
  }
}

/** The call's namespace; `close` leaves a descriptor that the caller gave open. */
export function openSandbox(deps: SandboxDeps, call: PluginCall): Netns {
  if (call.netnsFd !== undefined) return { fd: call.netnsFd, close: () => {} };
  if (call.netns === "")
    throw new CniError(CNI_ERROR.INVALID_ENVIRONMENT, "required env variables [CNI_NETNS] missing");
  try {
    return deps.openNetns(call.netns);
  } catch (error) {
    throw new CniError(
      CNI_ERROR.INVALID_ENVIRONMENT,
      `failed to open netns "${call.netns}": ${String(error)}`,
      "",
      error,
    );
  }
}

/** Whether an error says that a namespace's path is gone. */
export function isNetnsGone(error: unknown): boolean {
  return error instanceof CniError && hasCode(error.cause, "ENOENT");
}
