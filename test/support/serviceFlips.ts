import { createSocket, type Socket } from "node:dgram";
import { formatIp, ipAdd, parseIp } from "#base/ip.ts";
import { inNetns, type Netns, setSysctls, udpSocket } from "#kernel/namespaces/index.ts";
import { openRtnetlink } from "#kernel/netlink/index.ts";
import { openNftables } from "#kernel/nft/index.ts";
import type { ServiceBackend } from "#services/index.ts";
import { service, slice } from "#services/testing/objects.ts";
import { ServicesLab } from "../kernel/servicesLab.ts";

/** What is to happen. */
export interface Flips {
  /** Endpoints that are ready at a time; twice as many are there. */
  readonly endpoints: number;
  /** New flows, each with a source port of its own. */
  readonly flows: number;
  /** Most bytes of one send to nftables: the smaller, the more states of a change packets meet. */
  readonly maxSendBytes?: number;
  /** Makes the node's backend. Default: that of nftables. */
  readonly backend?: (lab: ServicesLab) => ServiceBackend;
}

const vip = "10.96.0.1";
/** Flows at a time. */
const WINDOW = 64;
/** What takes longer is lost. */
const PATIENCE_MS = 10_000;

/**
 * Sends new flows to a Service while the set of its ready endpoints changes all the time: those that were ready
 * terminate, as in a rollout, and the others become ready. Once in between the proxy is another process.
 * @returns flows without the answer of an endpoint, and how often the endpoints changed meanwhile
 */
export async function flip({
  endpoints,
  flows,
  maxSendBytes,
  backend,
}: Flips): Promise<{ lost: string[]; changes: number }> {
  const lab = await ServicesLab.start();
  try {
    prepare(lab, flows);
    const ring = await serveRing(lab, endpoints * 2);
    const put = (turn: number) => lab.put(...ringSlices(ring, turn, endpoints));
    lab.put(service("ring", { clusterIP: vip, ports: [{ name: "udp", port: 53, protocol: "UDP" }] }));
    put(0);
    const start = () => {
      if (backend) return lab.startProxy(backend(lab));
      const nft = inNetns(lab.node, () => openNftables({ ...(maxSendBytes && { maxSendBytes }) }));
      return lab.startProxy(lab.nftables(nft));
    };
    let proxy = await start();
    let changes = 0;
    let isDone = false;
    const changing = (async () => {
      while (!isDone) {
        put(++changes);
        await proxy.settled();
        if (changes === 20) {
          await proxy.stop();
          put(++changes);
          proxy = await start();
        }
        await new Promise(setImmediate);
      }
    })();
    const lost = await sendFlows(lab.outside, flows);
    isDone = true;
    await changing;
    return { lost, changes };
  } finally {
    await lab.close();
  }
}

/** Source addresses for all flows; and connections are forgotten soon, or their table would be full. */
function prepare(lab: ServicesLab, flows: number): void {
  setSysctls(lab.node, { "net.netfilter.nf_conntrack_udp_timeout": "5" });
  const rt = inNetns(lab.outside, openRtnetlink);
  const blocks = Math.ceil(flows / FLOWS_PER_SOURCE);
  const more = Array.from({ length: blocks - 1 }, (_, i) => sourceOf((i + 1) * FLOWS_PER_SOURCE).address);
  rt.apply(more.map((address) => ({ op: "add-address", index: 2, address: `${address}/32` })));
  rt.close();
}

/** Servers on ports of both pods, half on each. */
async function serveRing(lab: ServicesLab, count: number): Promise<{ address: string; port: number }[]> {
  const ring: { address: string; port: number }[] = [];
  for (let i = 0; i < count; i++) {
    const [netns, address] = i % 2 ? ([lab.pod2, "10.244.1.3"] as const) : ([lab.pod1, "10.244.1.2"] as const);
    await lab.serveUdp(netns, address, 9000 + i, `server-${i}`);
    ring.push({ address, port: 9000 + i });
  }
  return ring;
}

/** A slice for each server, for each has a port of its own. Which half of them is ready goes round. */
function ringSlices(ring: readonly { address: string; port: number }[], turn: number, ready: number) {
  return ring.map(({ address, port }, i) => {
    const isReady = (i + turn) % ring.length < ready;
    const conditions = { ready: isReady, serving: true, terminating: !isReady };
    const made = slice("ring", [{ address, conditions }], [{ name: "udp", port, protocol: "UDP" }]);
    return { ...made, metadata: { ...made.metadata, name: `ring-${i}` } };
  });
}

/** @returns what became of the flows that no server answered */
async function sendFlows(netns: Netns, flows: number): Promise<string[]> {
  const lost: string[] = [];
  let next = 0;
  const one = async () => {
    while (next < flows) {
      const number = next++;
      const answer = await flow(netns, number);
      if (!answer.startsWith("server-")) lost.push(`flow ${number}: ${answer}`);
    }
  };
  await Promise.all(Array.from({ length: WINDOW }, one));
  return lost;
}

/** Each block of so many flows has a source address of its own. */
const FLOWS_PER_SOURCE = 50_000;

/** The source of a flow. The lab routes 10.244.2.0/24 to the outside. */
function sourceOf(number: number): { address: string; port: number } {
  const block = Math.floor(number / FLOWS_PER_SOURCE);
  return { address: formatIp(ipAdd(parseIp("10.244.2.2"), block)), port: 10_000 + (number % FLOWS_PER_SOURCE) };
}

async function flow(netns: Netns, number: number): Promise<string> {
  const { address, port } = sourceOf(number);
  const socket = createSocket("udp4");
  await new Promise<void>((done) => socket.bind({ fd: udpSocket(netns, address, port) }, done));
  try {
    return await answerOf(socket);
  } finally {
    socket.close();
  }
}

function answerOf(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve("nothing came"), PATIENCE_MS);
    const end = (text: string) => {
      clearTimeout(timer);
      resolve(text);
    };
    socket.once("message", (data) => end(data.toString()));
    socket.once("error", (error) => end(error.message));
    socket.connect(53, vip, () => socket.send("hello"));
  });
}
