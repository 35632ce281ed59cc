import { createServer } from "node:net";
import { inNetns, listenTransparentTcp, localPort, transparentUdp } from "#kernel/namespaces/index.ts";
import { openNftables, Transaction } from "#kernel/nft/index.ts";
import type { PollWatcher } from "#kernel/process/index.ts";
import { DatagramFlows } from "./datagramFlows.ts";
import type { MachineNetwork } from "./fabric.ts";
import { splice } from "./forward.ts";
import { gatewayRules } from "./gatewayRules.ts";
import type { OutsideLink } from "./outsideLink.ts";
import type { OutsidePlan } from "./protocol.ts";

/** Connections outside at the same time; more are refused. */
const MAX_CONNECTIONS = 4096;
/** Index of the loopback device in every namespace (net/core/dev.c gives it the first). */
const LOOPBACK = 1;

/**
 * Makes the router carry TCP and UDP outside: all that it cannot route is local to it, and its sockets speak for
 * whomever the machines mean (tproxy). The other halves of the connections are the parent's, in the host's network.
 * @returns a function that ends it
 * @throws SysError, NftError, NetlinkError
 */
export async function startGateway(
  router: MachineNetwork,
  plan: OutsidePlan,
  link: OutsideLink,
  poll: PollWatcher,
): Promise<() => void> {
  const flows = new DatagramFlows(router.netns, link);
  const stops: (() => void)[] = [() => flows.stop()];
  const families = ([4, 6] as const).filter((family) =>
    plan.inside.own.some((c) => c.includes(":") === (family === 6)),
  );
  for (const family of families) {
    const tcp = listenTransparentTcp(router.netns, family);
    const udp = transparentUdp(router.netns, family);
    const ports = { tcp: localPort(tcp), udp: localPort(udp) };
    stops.push(carryConnections(tcp, link), flows.serve(udp, poll));
    await applyRules(router, gatewayRules(family, plan, ports));
    const dst = family === 4 ? "0.0.0.0/0" : "::/0";
    router.rtnl.apply([{ op: "add-route", dst, type: "local", index: LOOPBACK }]);
  }
  return () => {
    for (const stop of stops) stop();
  };
}

async function applyRules(router: MachineNetwork, chains: ReturnType<typeof gatewayRules>): Promise<void> {
  const nft = inNetns(router.netns, () => openNftables());
  const transaction = new Transaction();
  const table = chains[0]?.chain.table;
  if (table) transaction.addTable(table);
  for (const { chain, rules } of chains) {
    transaction.addChain(chain);
    for (const rule of rules) transaction.addRule(rule);
  }
  try {
    await nft.commit(transaction);
  } finally {
    nft.close();
  }
}

function carryConnections(fd: number, link: OutsideLink): () => void {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    client.on("error", () => client.destroy());
    // The address that the client meant: the socket's own, as tproxy has it.
    const { localAddress = "", localPort: port = 0 } = client;
    link.connect(localAddress, port).then(
      (outer) => {
        if (client.destroyed) return outer.destroy();
        splice(client, outer);
        client.resume();
      },
      () => client.resetAndDestroy(),
    );
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.listen({ fd });
  return () => server.close();
}
