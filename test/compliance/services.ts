import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ServiceBackend, ServiceProxy, TrafficSettings } from "#services/index.ts";
import { service, slice } from "#services/testing/objects.ts";
import { ask, askUdp, ServicesLab } from "../kernel/servicesLab.ts";
import { listenSctp, sendSctpInit } from "../support/sctp.ts";
import {
  type Client,
  caseAddress,
  caseObjects,
  type LabAddresses,
  labAddresses,
  labNode,
  type Outcome,
  outcomeOf,
  serviceCases,
  targetPort,
} from "./serviceCases.ts";

/** What a mode cannot do by its nature. */
export interface ModeException {
  readonly reason: string;
  /** What comes instead, which the suite proves. `sees …`: the endpoint that should answer does, and sees somebody else. */
  readonly instead: Outcome | "sees pod1" | "sees the node" | "the connection ends";
}

type Exceptions = Readonly<Record<string, ModeException>>;

/** How many exceptions each mode has: another one is a decision, and a line here. */
const EXCEPTIONS: Readonly<Record<string, number>> = { nftables: 0, ipvs: 0, iptables: 9, ebpf: 22, userspace: 30 };

/** What the suite needs of a mode. */
export interface ServiceHarness {
  readonly mode: string;
  /** A backend for the lab's node, fresh at each call, as in a process that has just started. */
  make(lab: ServicesLab, settings?: Partial<TrafficSettings>): ServiceBackend;
  /** Whether the mode goes by control groups: the lab's node gets one. */
  readonly isGrouped?: boolean;
  /** What the mode cannot do: names as in {@link caseNames}. */
  readonly exceptions?: Exceptions;
}

interface Question {
  readonly name: string;
  readonly client: Client;
  readonly expected: string;
  ask(lab: ServicesLab): Promise<string>;
}

/**
 * How long an answer may take, and how long nothing has to come, in ms. A refusal by ICMP may be heard only when the SYN
 * goes out again after a second: where an exception is silence, that is waited for.
 */
const WAIT = { answer: 10_000, silence: 700, retry: 2500 } as const;

/** Every case for every client and protocol, in one family. */
function questions(a: LabAddresses, exceptions: Exceptions = {}): Question[] {
  return serviceCases.flatMap((one, index) =>
    (Object.keys(one.clients) as Client[]).flatMap((client) =>
      (["TCP", "UDP"] as const).flatMap((protocol): Question[] => {
        const expected = one.clients[client] as string;
        // A datagram that the node's own rules refuse or drop fails in sendto alike, with EPERM.
        if (protocol === "UDP" && client === "node" && !expected.includes("sees")) return [];
        const [address, port] = caseAddress(one, index + 1, a);
        const name = `${one.name}: ${client}, ${protocol}`;
        const silenceMs = exceptions[name] === undefined ? WAIT.silence : WAIT.retry;
        const waitMs = outcomeIn(exceptions, name, expected) === "silence" ? silenceMs : WAIT.answer;
        const send = protocol === "TCP" ? ask : askUdp;
        return [
          { name, client, expected, ask: async (lab) => outcomeOf(await send(lab[client], address, port, waitMs), a) },
        ];
      }),
    ),
  );
}

/** Tests over time that may be exceptions as well. */
const RESTART = "an established connection goes on while the proxy restarts, and after it";
const SCTP = "SCTP: an association's first packet goes to an endpoint's port";

/** Names of all questions, for exceptions. */
export function caseNames(): string[] {
  return [...labAddresses.slice(0, 1).flatMap((a) => questions(a).map(({ name }) => name)), RESTART, SCTP];
}

async function serve(lab: ServicesLab, a: LabAddresses): Promise<void> {
  for (const [netns, address, name] of [
    [lab.pod1, a.pod1, "pod1"],
    [lab.pod2, a.pod2, "pod2"],
    [lab.outside, a.far, "far"],
  ] as const) {
    await lab.serveTcp(netns, address, targetPort, name);
    await lab.serveUdp(netns, address, targetPort, name);
  }
}

/** One suite for every mode: real packets of pods, the node and a machine outside. */
export function serviceCompliance(harness: ServiceHarness): void {
  const exceptions = harness.exceptions ?? {};
  describe.each(labAddresses)(`V02 V04 Services move packets (part: mode ${harness.mode}), $family`, (a) => {
    let lab: ServicesLab;
    let outcomes: Map<string, string>;
    const asked = questions(a, exceptions);
    beforeAll(async () => {
      lab = await ServicesLab.start(harness.isGrouped);
      await serve(lab, a);
      lab.api.put("/api/v1/nodes", labNode);
      for (const [index, one] of serviceCases.entries()) lab.put(...caseObjects(one, index + 1, a));
      await lab.startProxy(harness.make(lab));
      const answers = await Promise.all(asked.map(async (one) => [one.name, await one.ask(lab)] as const));
      outcomes = new Map(answers);
    });
    afterAll(() => lab.close());

    for (const { name, expected } of asked) {
      it(titled(exceptions, name), () => expect(outcomes.get(name)).toBe(outcomeIn(exceptions, name, expected)));
    }
  });
  it(`mode ${harness.mode}: every exception is one of a case, and another than what is expected`, () => {
    expect(caseNames()).toEqual(expect.arrayContaining(Object.keys(exceptions)));
    expect(Object.keys(exceptions)).toHaveLength(EXCEPTIONS[harness.mode] as number);
    const asked = questions(labAddresses[0] as LabAddresses).filter(({ name }) => name in exceptions);
    for (const { name, expected } of asked) expect(outcomeIn(exceptions, name, expected), name).not.toBe(expected);
  });
  describe.each(labAddresses)(`Services over time (mode ${harness.mode}), $family`, (a) => overTime(harness, a));
}

/** The name of a test, which says so when it is of an exception. */
function titled(exceptions: Exceptions, name: string): string {
  const { reason, instead } = exceptions[name] ?? {};
  return reason === undefined ? name : `${name} — not in this mode (${instead}): ${reason}`;
}

/** What comes in a mode. */
function outcomeIn(exceptions: Exceptions, name: string, expected: string): string {
  const instead = exceptions[name]?.instead ?? expected;
  return instead.startsWith("sees ") ? expected.replace(/sees .*/, instead) : instead;
}

function overTime(harness: ServiceHarness, a: LabAddresses): void {
  let lab: ServicesLab;
  const vip = a.clusterIp(1);
  beforeEach(async () => {
    lab = await ServicesLab.start(harness.isGrouped);
    await serve(lab, a);
  });
  afterEach(() => lab.close());
  const web = service("web", { clusterIP: vip });

  it("connections are spread over the endpoints", async () => {
    lab.put(web, slice("web", [a.pod1, a.pod2]));
    await lab.startProxy(harness.make(lab));
    const answers = await Promise.all(Array.from({ length: 60 }, () => ask(lab.outside, vip, 80)));
    const counts = ["pod1", "pod2"].map((name) => answers.filter((answer) => answer.startsWith(name)).length);
    expect(counts[0] as number).toBe(60 - (counts[1] as number));
    // Fewer than 12 of 60 for one of them has a probability of less than one in a million.
    expect(Math.min(...counts)).toBeGreaterThan(11);
  });

  it("endpoints that come and go are followed; without any, connections are refused", async () => {
    lab.put(web);
    const proxy = await lab.startProxy(harness.make(lab));
    const now = () => ask(lab.outside, vip, 80, WAIT.retry);
    lab.put(slice("web", [a.pod1]));
    await expect.poll(now).toMatch(/^pod1/);
    lab.put(slice("web", [a.pod2]));
    await expect.poll(now).toMatch(/^pod2/);
    lab.put(slice("web", [{ address: a.pod2, conditions: { ready: false } }]));
    await expect.poll(now).toBe("ECONNREFUSED");
    lab.put(slice("web", [{ address: a.pod2, conditions: { ready: false, serving: true, terminating: true } }]));
    await expect.poll(now).toMatch(/^pod2/);
    await lab.delete(web);
    await expect.poll(() => proxy.frontends().size).toBe(0);
    await proxy.settled();
    expect(await ask(lab.outside, vip, 80, 700)).not.toMatch(/^pod/);
  });

  it("a load balancer of ipMode Proxy gets its packets itself, one of mode VIP is answered for here", async () => {
    const [proxy, vips] = [a.balancer(1), a.balancer(2)];
    await lab.serveBalancer([proxy, vips], 80);
    const ports = [{ name: "http", port: 80, protocol: "TCP" as const, nodePort: 30081 }];
    const ingress = [
      { ip: proxy, ipMode: "Proxy" },
      { ip: vips, ipMode: "VIP" },
    ];
    const made = service("web", { clusterIP: vip, type: "LoadBalancer", ports });
    lab.put({ ...made, status: { loadBalancer: { ingress } } }, slice("web", [a.pod2]));
    await lab.startProxy(harness.make(lab));
    for (const client of [lab.pod1, lab.node]) {
      expect(await ask(client, proxy, 80)).toMatch(/^balancer /);
      expect(await ask(client, vips, 80)).toMatch(/^pod2 /);
    }
    // That is where such a balancer sends its own connections.
    expect(await ask(lab.outside, a.node, 30081)).toMatch(/^pod2 /);
  });

  it("ClientIP affinity keeps a client with its endpoint, until that is gone", async () => {
    lab.put(service("web", { clusterIP: vip, sessionAffinity: "ClientIP" }), slice("web", [a.pod1, a.pod2]));
    const proxy = await lab.startProxy(harness.make(lab));
    const who = async () => (await ask(lab.outside, vip, 80)).split(" ")[0] ?? "";
    const answers = new Set<string>();
    for (let i = 0; i < 12; i++) answers.add(await who());
    expect(answers.size).toBe(1);
    const rest = answers.has("pod1") ? "pod2" : "pod1";
    const targets = () => proxy.frontends().get("shop/web")?.[0]?.action;
    lab.put(slice("web", [a[rest]]));
    await expect.poll(targets).toMatchObject({ targets: { length: 1 } });
    await proxy.settled();
    expect(await who()).toBe(rest);
    lab.put(slice("web", [a.pod1, a.pod2]));
    await expect.poll(targets).toMatchObject({ targets: { length: 2 } });
    await proxy.settled();
    for (let i = 0; i < 8; i++) expect(await who()).toBe(rest);
  });

  it("UDP: a client that keeps its port follows the Service: endpoint gone, none, the first, Service gone and back, and gone while no proxy ran", async () => {
    const ports = [{ name: "dns", port: 53, protocol: "UDP" as const, nodePort: 30053 }];
    const dns = service("dns", { clusterIP: vip, type: "NodePort", ports, externalIPs: [a.external(1)] });
    const endpoints = (address: string, ready = true) =>
      slice("dns", [{ address, conditions: { ready } }], [{ name: "dns", protocol: "UDP", port: targetPort }]);
    lab.put(dns, endpoints(a.pod1));
    const proxy = await lab.startProxy(harness.make(lab));
    const client = await lab.udpClient(lab.outside, a.outside);
    const places = [
      [vip, 53],
      [a.node, 30053],
      [a.external(1), 53],
    ] as const;
    const everywhere = async () => {
      const answers: string[] = [];
      for (const [address, port] of places) answers.push((await client(address, port)).split(" ")[0] ?? "");
      return [...new Set(answers)].join(" ");
    };
    await expect.poll(everywhere).toBe("pod1");
    lab.put(endpoints(a.pod2));
    await expect.poll(everywhere).toBe("pod2");
    lab.put(endpoints(a.pod2, false));
    await expect.poll(everywhere, { timeout: 4000 }).toBe("no");
    lab.put(endpoints(a.pod1));
    await expect.poll(everywhere, { timeout: 4000 }).toBe("pod1");
    await lab.delete(dns);
    await expect.poll(everywhere, { timeout: 4000 }).toBe("no");
    lab.put(dns);
    await expect.poll(everywhere, { timeout: 4000 }).toBe("pod1");
    await proxy.stop();
    await lab.delete(dns);
    await lab.startProxy(harness.make(lab));
    expect(await everywhere()).toBe("no");
  });

  const exceptions = harness.exceptions ?? {};

  it(titled(exceptions, SCTP), async () => {
    const ports = [{ name: "sctp", port: 3868, protocol: "SCTP" as const, nodePort: 30868 }];
    lab.put(
      service("diameter", { clusterIP: vip, type: "NodePort", ports }),
      slice("diameter", [a.pod2], [{ name: "sctp", protocol: "SCTP", port: 3869 }]),
    );
    await lab.startProxy(harness.make(lab));
    const ear = listenSctp(lab.pod2, a.family === "IPv4" ? 4 : 6);
    sendSctpInit(lab.pod1, vip, 5001, 3868);
    sendSctpInit(lab.outside, a.node, 5002, 30868);
    const heard: { from: number; to: number }[] = [];
    if (exceptions[SCTP]?.instead === "silence") {
      await new Promise((done) => setTimeout(done, WAIT.silence));
      expect(ear.heard()).toEqual([]);
      return ear.close();
    }
    await expect
      .poll(() => {
        heard.push(...ear.heard());
        return heard.map(({ to }) => to);
      })
      .toEqual([3869, 3869]);
    ear.close();
    expect(heard.map(({ from }) => from)).toContain(5001);
  });

  it("an established connection goes on while endpoints change", async () => {
    const echo = await establish();
    lab.put(slice("web", [a.pod2]));
    await expect.poll(() => ask(lab.outside, vip, 80, 700)).toMatch(/^pod2/);
    expect(await echo("two")).toBe("two");
  });

  it(titled(exceptions, RESTART), async () => {
    const endsWithProxy = exceptions[RESTART]?.instead === "the connection ends";
    const echo = await establish();
    lab.put(slice("web", [a.pod2]));
    await running?.stop();
    if (endsWithProxy) await expect(echo("two")).rejects.toThrow();
    else expect(await echo("two")).toBe("two");
    await lab.startProxy(harness.make(lab));
    if (!endsWithProxy) expect(await echo("three")).toBe("three");
    expect(await ask(lab.outside, vip, 80)).toMatch(/^pod2/);
  });

  let running: ServiceProxy | undefined;
  /** A connection to the Service, whose only endpoint gives back what it gets. */
  async function establish(): Promise<(text: string) => Promise<string>> {
    const echoPort = targetPort + 1;
    await lab.serveEcho(lab.pod1, a.pod1, echoPort);
    lab.put(web, slice("web", [a.pod1], [{ name: "http", port: echoPort }]));
    running = await lab.startProxy(harness.make(lab));
    const echo = await lab.connect(lab.outside, vip, 80);
    expect(await echo("one")).toBe("one");
    return echo;
  }
}
