import { lockFile } from "#kernel/locks/index.ts";
import { openNetns, setOwnSysctls, setSysctls } from "#kernel/namespaces/index.ts";
import { openRtnetlink } from "#kernel/netlink/index.ts";
import type { Nftables } from "#kernel/nft/index.ts";
import { kernelMasquerade } from "./masquerade.ts";
import type { PluginDeps } from "./plugin.ts";

/**
 * Dependencies of plugins on the real kernel, in this thread's namespaces.
 * @param open opens nftables of the node; default: of the thread's namespace
 */
export function kernelDeps(open: { readonly nftables?: () => Nftables } = {}): Omit<PluginDeps, "delegate"> {
  return {
    openRtnetlink,
    openNetns,
    setSysctls: (settings, netns) => (netns ? setSysctls(netns, settings) : setOwnSysctls(settings)),
    lock: lockFile,
    masquerade: kernelMasquerade(open.nftables),
  };
}
