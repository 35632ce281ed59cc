import type { NodeChanged, NodeRequest } from "#lab/parent/index.ts";
import { ask } from "./query.ts";

interface Flags {
  readonly name: string;
  readonly json?: boolean;
}

/** What `podwire node add` may be told of the new node. */
export interface AddFlags extends Flags {
  readonly address?: string;
}

/** `podwire node add [node]` */
export async function runNodeAdd(node: string | undefined, flags: AddFlags): Promise<void> {
  const { address } = flags;
  await change(flags, {
    action: "add",
    ...(node === undefined ? {} : { name: node }),
    ...(address === undefined ? {} : { address }),
  });
}

/** `podwire node rm|stop|start|pause <node>` */
export async function runNodeChange(action: NodeAction, node: string, flags: Flags): Promise<void> {
  await change(flags, { action, node });
}

/** What can be done to a node that is there. */
export type NodeAction = Exclude<NodeRequest["action"], "add">;

async function change(flags: Flags, request: NodeRequest): Promise<void> {
  const node = (await ask(flags.name, { command: "node", request })) as NodeChanged;
  if (flags.json) process.stdout.write(`${JSON.stringify(node, null, 2)}\n`);
  else process.stdout.write(`${words(request.action, node)}\n`);
}

/** What has happened, and what the user may not expect. */
function words(action: NodeRequest["action"], { name, role, addresses, hostAddress, ready }: NodeChanged): string {
  const readiness = ready ? "it is ready" : "it is not ready yet (podwire status says why)";
  switch (action) {
    case "add":
      return `node ${name} added: ${addresses.join(", ")}, on the host ${hostAddress}; ${readiness}`;
    case "start":
      return `node ${name} started; ${readiness}`;
    case "rm":
      return `node ${name} removed, with its disk; its pods are replaced on other nodes`;
    case "stop":
      if (role === "control-plane")
        return `node ${name} stopped: kubectl and the API do not answer until podwire node start ${name}; pods of other nodes run on`;
      return `node ${name} stopped; the cluster misses it when its lease has run out (50 s), its pods are evicted 300 s later`;
    case "pause":
      if (role === "control-plane")
        return `node ${name} paused: kubectl and the API do not answer until podwire node start ${name} lets its processes go on`;
      return `node ${name} paused: its processes stand still, podwire node start ${name} lets them go on`;
  }
}
