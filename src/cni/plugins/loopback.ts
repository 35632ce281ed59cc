import { CNI_ERROR, CniError } from "../errors.ts";
import type { CniPlugin, PluginCall, PluginDeps } from "../plugin.ts";
import { emptyResult } from "../result.ts";
import { inSandbox } from "./sandbox.ts";

const LOOPBACK_INDEX = 1;

/** The plugin `loopback`: brings a container's `lo` up. */
export function loopbackPlugin(deps: PluginDeps): CniPlugin {
  const setUp = (call: PluginCall, up: boolean) =>
    inSandbox(deps, call, (rtnl) => rtnl.apply([{ op: "set-link", index: LOOPBACK_INDEX, up }]));
  return {
    async add(call) {
      setUp(call, true);
      const lo = { name: "lo", mac: "00:00:00:00:00:00", sandbox: call.netns };
      const ips = ["127.0.0.1/8", "::1/128"].map((address) => ({ address, interface: 0 }));
      return call.prevResult ?? { ...emptyResult, interfaces: [lo], ips };
    },
    async del(call) {
      // The namespace may be gone, and with it its loopback.
      if (call.netns !== "" || call.netnsFd !== undefined) setUp(call, false);
    },
    async check(call) {
      const link = inSandbox(deps, call, (rtnl) => rtnl.link({ index: LOOPBACK_INDEX }));
      if (!link?.up) throw new CniError(CNI_ERROR.INTERNAL, "loopback interface is down");
    },
    async status() {},
    async gc() {},
  };
}
