/**
 * Runs in the guest: Services of the modes that are named, on its kernel, with TCP, UDP and SCTP of real sockets. Prints what
 * each client was told, as JSON.
 */
import { warmThreadPool } from "#kernel/namespaces/index.ts";
import { type Iptables, iptablesBackend, openIptables, type ServiceBackend } from "#services/index.ts";
import { service, slice } from "#services/testing/objects.ts";
import { labAddresses, outcomeOf, targetPort } from "../compliance/serviceCases.ts";
import { ask, askUdp, ServicesLab, traffic } from "../kernel/servicesLab.ts";
import { askSctp, serveSctp } from "./sctp.ts";

/** What came of it, by question. */
type Outcomes = Record<string, string | undefined>;

const protocols = ["TCP", "UDP", "SCTP"] as const;
/** A guest is slow. */
const PATIENCE_MS = 20_000;
const SILENCE_MS = 700;

/** Records what is handed to iptables-restore. */
function recorded(iptables: Iptables, inputs: string[]): Iptables {
  const restore: Iptables["restore"] = (family, text) => {
    inputs.push(text);
    return iptables.restore(family, text);
  };
  return { ...iptables, restore };
}

/** A Service with NodePorts, and one behind a load balancer for the machine outside alone, in each family. */
function put(lab: ServicesLab): void {
  const ports = protocols.map((protocol, i) => ({
    name: protocol.toLowerCase(),
    port: 80,
    protocol,
    nodePort: 30080 + i,
  }));
  const targets = ports.map(({ name, protocol }) => ({ name, protocol, port: targetPort }));
  for (const [index, a] of labAddresses.entries()) {
    const spec = {
      clusterIP: a.clusterIp(1),
      type: "LoadBalancer" as const,
      ports: ports.map((port) => ({ ...port, nodePort: port.nodePort + 10 * index })),
    };
    const range = `${a.outside}/${a.family === "IPv6" ? 128 : 32}`;
    const local = {
      ...spec,
      clusterIP: a.clusterIp(2),
      externalTrafficPolicy: "Local" as const,
      loadBalancerSourceRanges: [range],
    };
    const status = { loadBalancer: { ingress: [{ ip: a.balancer(2) }] } };
    const [web, limited] = [`web-${a.family.toLowerCase()}`, `limited-${a.family.toLowerCase()}`];
    lab.put(
      { ...service(web, spec), status: { loadBalancer: {} } },
      slice(web, [a.pod2], targets),
      { ...service(limited, { ...local, ports: ports.map(({ nodePort, ...port }) => port) }), status },
      slice(limited, [a.pod2], targets),
    );
  }
}

async function serve(lab: ServicesLab): Promise<void> {
  for (const a of labAddresses) {
    await lab.serveTcp(lab.pod2, a.pod2, targetPort, "pod2");
    await lab.serveUdp(lab.pod2, a.pod2, targetPort, "pod2");
    await serveSctp(lab.pod2, a.pod2, targetPort, "pod2");
  }
}

async function outcomes(lab: ServicesLab): Promise<Outcomes> {
  const found: Outcomes = {};
  const send = { TCP: ask, UDP: askUdp, SCTP: askSctp };
  for (const [index, a] of labAddresses.entries()) {
    for (const [i, protocol] of protocols.entries()) {
      for (const [name, client, address, port, waitMs] of [
        ["pod1 to the ClusterIP", "pod1", a.clusterIp(1), 80, PATIENCE_MS],
        ["outside to the NodePort", "outside", a.node, 30080 + i + 10 * index, PATIENCE_MS],
        ["outside to the limited load balancer", "outside", a.balancer(2), 80, PATIENCE_MS],
        ["pod1 to the limited load balancer", "pod1", a.balancer(2), 80, SILENCE_MS],
      ] as const) {
        const answer = await send[protocol](lab[client], address, port, waitMs);
        found[`${a.family} ${protocol}: ${name}`] = outcomeOf(answer, a);
      }
    }
  }
  return found;
}

/** What one mode does. */
async function outcomesOf(mode: string): Promise<Outcomes> {
  const lab = await ServicesLab.start();
  const inputs: string[] = [];
  const make = (): ServiceBackend => {
    if (mode === "nftables") return lab.nftables();
    const iptables = recorded(openIptables({ netns: lab.node }), inputs);
    return iptablesBackend({ ...traffic, nodePortsEverywhere: true, iptables });
  };
  await serve(lab);
  put(lab);
  const proxy = await lab.startProxy(make());
  const found = await outcomes(lab);
  await proxy.stop();
  inputs.length = 0;
  await (await lab.startProxy(make())).stop();
  found["written after a restart"] = inputs.join("");
  await make().cleanup();
  const answer = await ask(lab.pod1, labAddresses[0]?.clusterIp(1) ?? "", 80, SILENCE_MS);
  found["after cleanup"] = answer.split(" ")[0];
  return found;
}

await warmThreadPool();
const modes = process.argv.slice(2);
const all = [];
for (const mode of modes) all.push([mode, await outcomesOf(mode)]);
const version = modes.includes("iptables") ? openIptables().version : "";
process.stdout.write(`${JSON.stringify({ version, ...Object.fromEntries(all) })}\n`);
// Sockets of the labs are the process's to close.
process.exit(0);
