import { execFileSync } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { formatIp, ipAdd, parseIp } from "#base/ip.ts";
import { inNetns, type Netns, setSysctls, udpSocket } from "#kernel/namespaces/index.ts";
import { openRtnetlink } from "#kernel/netlink/index.ts";
import { openNftables } from "#kernel/nft/index.ts";
import { SERVICES_TABLE, type ServiceBackend } from "#services/index.ts";
import { service, slice } from "#services/testing/objects.ts";
import { ServicesLab } from "../kernel/servicesLab.ts";

/** What is to happen. */
export interface Flips {
  /** Most endpoints that are ready at a time: one to so many, another number each turn. Twice as many are there. */
  readonly endpoints: number;
  /** New flows at least, each with a source port of its own: they go on until there were {@link changes}. */
  readonly flows: number;
  /** How often endpoints change at least. Default 24. */
  readonly changes?: number;
  /** What the flows go to. Default: a ClusterIP. */
  readonly kind?: "ClusterIP" | "ClusterIP with affinity" | "NodePort with policy Local";
  /** Other Services, each of which changes at each turn. Default: none. */
  readonly others?: number;
  /** Most bytes of one send to nftables: the smaller, the more states of a change packets meet. */
  readonly maxSendBytes?: number;
  /** Makes the node's backend. Default: that of nftables. */
  readonly backend?: (lab: ServicesLab) => ServiceBackend;
  /** What happens on the node while no proxy runs. */
  readonly meanwhile?: (lab: ServicesLab) => Promise<void>;
  /** What is looked at in the end. */
  readonly after?: (lab: ServicesLab) => Promise<void>;
}

const vip = "10.96.0.1";
const [node, nodePort] = ["192.168.1.11", 30053];
/** Flows at a time. */
const WINDOW = 64;
/** What takes longer is lost. */
const PATIENCE_MS = 10_000;

/**
 * Sends new flows to a Service while the set of its ready endpoints changes all the time: those that were ready
 * terminate, as in a rollout, and the others become ready. Once in between the proxy is another process.
 * @returns flows without the answer of an endpoint, how many endpoints answered at all, and the most sends that a change
 * of nftables went in
 */
export async function flip(flips: Flips): Promise<{ lost: string[]; answered: number; sends: number }> {
  const { endpoints, flows, maxSendBytes, backend, kind = "ClusterIP", others = 0, changes: least = 24 } = flips;
  const lab = await ServicesLab.start();
  try {
    prepare(lab, flows);
    const ring = await serveRing(lab, endpoints * 2);
    const put = (turn: number) =>
      lab.put(...ringSlices(ring, turn, (turn % endpoints) + 1), ...otherSlices(others, turn));
    lab.put(ringService(kind), ...otherServices(others));
    put(0);
    let sends = 0;
    const onCommit = (count: number) => {
      sends = Math.max(sends, count);
    };
    const start = () => {
      if (backend) return lab.startProxy(backend(lab));
      const nft = inNetns(lab.node, () => openNftables({ ...(maxSendBytes && { maxSendBytes }), onCommit }));
      return lab.startProxy(lab.nftables(nft));
    };
    let proxy = await start();
    // The first commit makes everything.
    sends = 0;
    let changes = 0;
    let isDone = false;
    const changing = (async () => {
      while (!isDone || changes < least) {
        put(++changes);
        await proxy.settled();
        if (changes === 20) {
          await proxy.stop();
          await flips.meanwhile?.(lab);
          put(++changes);
          proxy = await start();
        }
        await new Promise(setImmediate);
      }
    })();
    const to = kind === "NodePort with policy Local" ? ([node, nodePort] as const) : ([vip, 53] as const);
    const answers = await sendFlows(lab.outside, to, (number) => number < flows || changes < least);
    isDone = true;
    await changing;
    await flips.after?.(lab);
    return { ...answers, sends };
  } finally {
    await lab.close();
  }
}

/**
 * Gives the node's table the form that another version might have had: a set of another type. By nft, in one
 * transaction, with everything that is in it.
 */
export function remakeTable(lab: ServicesLab): void {
  const nft = (args: string[], input?: string) =>
    inNetns(lab.node, () => execFileSync("nft", args, { encoding: "utf8", ...(input !== undefined && { input }) }));
  const table = `ip ${SERVICES_TABLE}`;
  const listing = nft(["list", "table", ...table.split(" ")]);
  const other = listing.replace(/(set hairpin \{\n\s*type [^\n]*\n)/, "$1flags timeout\n");
  nft(["-f", "-"], `delete table ${table}\n${other}`);
}

/** Source addresses for all flows; and connections are forgotten soon, or their table would be full. */
function prepare(lab: ServicesLab, flows: number): void {
  setSysctls(lab.node, { "net.netfilter.nf_conntrack_udp_timeout": "5" });
  const rt = inNetns(lab.outside, openRtnetlink);
  // One block more: flows go on until there were enough changes.
  const blocks = Math.ceil(flows / FLOWS_PER_SOURCE) + 1;
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

/** The Service that flows go to. */
function ringService(kind: NonNullable<Flips["kind"]>) {
  const port = { name: "udp", port: 53, protocol: "UDP" as const };
  const isLocal = kind === "NodePort with policy Local";
  return service("ring", {
    clusterIP: vip,
    ports: [isLocal ? { ...port, nodePort } : port],
    ...(isLocal && { type: "NodePort", externalTrafficPolicy: "Local" }),
    ...(kind === "ClusterIP with affinity" && { sessionAffinity: "ClientIP" }),
  });
}

const otherServices = (count: number) =>
  Array.from({ length: count }, (_, n) => service(`other-${n}`, { clusterIP: `10.97.${n >> 8}.${n & 255}` }));

/** Both endpoints of each are others at each turn. */
const otherSlices = (count: number, turn: number) =>
  Array.from({ length: count }, (_, n) => {
    const last = 2 * (turn % 100) + 10;
    return slice(`other-${n}`, [`10.244.1.${last}`, `10.244.1.${last + 1}`]);
  });

/** A slice for each server, for each has a port of its own. Which half of them is ready goes round. */
function ringSlices(ring: readonly { address: string; port: number }[], turn: number, ready: number) {
  return ring.map(({ address, port }, i) => {
    const isReady = (i + turn) % ring.length < ready;
    const conditions = { ready: isReady, serving: true, terminating: !isReady };
    const made = slice("ring", [{ address, conditions }], [{ name: "udp", port, protocol: "UDP" }]);
    return { ...made, metadata: { ...made.metadata, name: `ring-${i}` } };
  });
}

/**
 * Sends flows while there are to be more.
 * @returns what became of the flows that no server answered, and how many servers there were
 */
async function sendFlows(netns: Netns, to: readonly [string, number], isWanted: (number: number) => boolean) {
  const lost: string[] = [];
  const servers = new Set<string>();
  let next = 0;
  const one = async () => {
    while (isWanted(next)) {
      const number = next++;
      const answer = await flow(netns, number, to);
      if (answer.startsWith("server-")) servers.add(answer);
      else lost.push(`flow ${number}: ${answer}`);
    }
  };
  await Promise.all(Array.from({ length: WINDOW }, one));
  return { lost, answered: servers.size };
}

/** Each block of so many flows has a source address of its own. */
const FLOWS_PER_SOURCE = 50_000;

/** The source of a flow. The lab routes 10.244.2.0/24 to the outside. */
function sourceOf(number: number): { address: string; port: number } {
  const block = Math.floor(number / FLOWS_PER_SOURCE);
  return { address: formatIp(ipAdd(parseIp("10.244.2.2"), block)), port: 10_000 + (number % FLOWS_PER_SOURCE) };
}

async function flow(netns: Netns, number: number, to: readonly [string, number]): Promise<string> {
  const { address, port } = sourceOf(number);
  const socket = createSocket("udp4");
  await new Promise<void>((done) => socket.bind({ fd: udpSocket(netns, address, port) }, done));
  try {
    return await answerOf(socket, to);
  } finally {
    socket.close();
  }
}

function answerOf(socket: Socket, [address, port]: readonly [string, number]): Promise<string> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve("nothing came"), PATIENCE_MS);
    const end = (text: string) => {
      clearTimeout(timer);
      resolve(text);
    };
    socket.once("message", (data) => end(data.toString()));
    socket.once("error", (error) => end(error.message));
    socket.connect(port, address, () => socket.send("hello"));
  });
}
