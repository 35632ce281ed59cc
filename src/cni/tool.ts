import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { createLogger } from "#base/log.ts";
import { CURRENT_VERSION } from "./config/versions.ts";
import { CNI_ERROR, CniError, errorJson } from "./errors.ts";
import type { ExecutableOutput } from "./executable.ts";
import { resultJson } from "./result.ts";
import { type Attachment, CniRuntime, type CniRuntimeOptions } from "./runtime/index.ts";

/** What a container runtime asks of a network. */
export const TOOL_ACTIONS = ["add", "del", "check", "status", "gc"] as const;
export type ToolAction = (typeof TOOL_ACTIONS)[number];

/** Where `ip netns` keeps names. */
const NAMES = "/run/netns";
/** What ids begin with that are made of namespaces' paths (libcni, cnitool). */
const OWN_IDS = "cnitool-";

/** What is to be done, and with what. */
export interface ToolWish {
  readonly action: ToolAction;
  /** Path, or a name of `ip netns`; not needed for `status` and `gc`. */
  readonly netns?: string;
  readonly ifName?: string;
}

/** The attachment that is meant; its id is that which cnitool makes of the path. */
export function attachmentOf({ netns = "", ifName = "eth0" }: Omit<ToolWish, "action">): Attachment {
  if (netns === "") throw new CniError(CNI_ERROR.INVALID_ENVIRONMENT, "which network namespace?");
  const path = netns.includes("/") ? netns : `${NAMES}/${netns}`;
  const hash = createHash("sha512").update(path).digest("hex");
  return { netns: path, ifName, containerId: `${OWN_IDS}${hash.slice(0, 20)}` };
}

/**
 * Does a container runtime's duties by hand, as upstream's cnitool: the network is the first of the folder of
 * configurations, its plugins are called in their order.
 * @returns what is to be printed: a result, or an error as plugins print it
 */
export async function runTool(wish: ToolWish, options: CniRuntimeOptions = {}): Promise<ExecutableOutput> {
  let version: string = CURRENT_VERSION;
  try {
    const runtime = new CniRuntime(options, { log: createLogger("cni", { level: "error" }) });
    if (wish.action === "add") {
      const { result, network } = await runtime.add(present(attachmentOf(wish)));
      version = network.cniVersion;
      return { code: 0, stdout: `${JSON.stringify(resultJson(result, version), null, 2)}\n` };
    }
    if (wish.action === "del") await runtime.del(attachmentOf(wish));
    else if (wish.action === "check") await runtime.check(present(attachmentOf(wish)));
    else if (wish.action === "status") await runtime.status();
    else await collect(runtime);
    return { code: 0, stdout: "" };
  } catch (error) {
    return { code: 1, stdout: `${JSON.stringify(errorJson(error, version), null, 2)}\n` };
  }
}

/** @throws CniError */
function present(attachment: Attachment): Attachment {
  if (existsSync(attachment.netns)) return attachment;
  throw new CniError(CNI_ERROR.INVALID_ENVIRONMENT, `there is no network namespace ${attachment.netns}`);
}

/** Lets go of what was attached by hand to namespaces that are gone; what others attached is theirs. */
async function collect(runtime: CniRuntime): Promise<void> {
  const isValid = ({ containerId, netns }: Attachment) => !containerId.startsWith(OWN_IDS) || existsSync(netns);
  await runtime.gc(runtime.attachments().filter(isValid));
}
