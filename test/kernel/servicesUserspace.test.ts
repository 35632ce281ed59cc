import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { USERSPACE_TABLE } from "#services/index.ts";
import { service, slice } from "#services/testing/objects.ts";
import { labAddresses } from "../compliance/serviceCases.ts";
import { serviceCompliance } from "../compliance/services.ts";
import { ask, ServicesLab } from "./servicesLab.ts";

/** Whoever is connected to an endpoint is the process: it sees the node's address. */
const address = {
  reason: "the client's address stays with the process, which makes the connection to the endpoint",
  instead: "sees the node",
} as const;
const local = (kind: string) => [
  `${kind} with externalTrafficPolicy Local, endpoint on this node: pod1`,
  `${kind} with externalTrafficPolicy Local, endpoint on this node: outside`,
  `${kind} with externalTrafficPolicy Local, none on this node: pod1`,
];
const withoutAddress = [
  "ClusterIP, endpoint on this node: pod1",
  "ClusterIP, endpoint on another node: pod1",
  "ClusterIP with internalTrafficPolicy Local, endpoints on both nodes: pod1",
  ...["NodePort", "ExternalIP", "LoadBalancer"].flatMap(local),
  "LoadBalancer limited to pod and node, policy Local: pod1",
  "externalTrafficPolicy Local, the node's own endpoint terminates: outside",
];

serviceCompliance({
  mode: "userspace",
  make: (lab, settings) => lab.userspace(lab.openNft(), settings),
  exceptions: {
    ...Object.fromEntries(
      withoutAddress.flatMap((name) => ["TCP", "UDP"].map((protocol) => [`${name}, ${protocol}`, address])),
    ),
    "SCTP: an association's first packet goes to an endpoint's port": {
      reason: "the process relays TCP and UDP",
      instead: "silence",
    },
    "an established connection goes on while the proxy restarts, and after it": {
      reason: "its two halves are sockets of the process",
      instead: "the connection ends",
    },
  },
});

describe.each(labAddresses)("V04 Services by a proxy process (part: what is its own), $family", (a) => {
  let lab: ServicesLab;
  const vip = a.clusterIp(1);
  const family = a.family === "IPv4" ? "ip" : "ip6";
  beforeEach(async () => {
    lab = await ServicesLab.start();
    await lab.serveTcp(lab.pod1, a.pod1, 8080, "pod1");
    await lab.serveTcp(lab.pod2, a.pod2, 8080, "pod2");
  });
  afterEach(() => lab.close());

  it("endpoints take turns, and one that refuses is passed over", async () => {
    lab.put(service("web", { clusterIP: vip }), slice("web", [a.pod1, a.pod2, { address: a.gateway }]));
    await lab.startProxy(lab.userspace(undefined, { dialTimeoutsMs: [10_000, 10_000] }));
    const answers: string[] = [];
    for (let n = 0; n < 8; n++) answers.push((await ask(lab.outside, vip, 80)).split(" ")[0] ?? "");
    for (const [n, answer] of answers.slice(1).entries()) expect(answer).not.toBe(answers[n]);
    expect(new Set(answers)).toEqual(new Set(["pod1", "pod2"]));
  });

  it("when no endpoint takes a connection, the client's is reset", async () => {
    lab.put(service("web", { clusterIP: vip }), slice("web", [{ address: a.gateway }]));
    await lab.startProxy(lab.userspace());
    expect(await ask(lab.outside, vip, 80)).toBe("ECONNRESET");
  });

  it("V04 no connection is refused while endpoints change", { timeout: 60_000 }, async () => {
    const rings = [[a.pod1], [a.pod1, a.pod2], [a.pod2]];
    lab.put(service("web", { clusterIP: vip, externalIPs: [a.external(1)] }), slice("web", [a.pod1]));
    const proxy = await lab.startProxy(lab.userspace());
    const answers: string[] = [];
    const clients = [vip, a.external(1)].map(async (address) => {
      while (answers.length < 120) answers.push((await ask(lab.outside, address, 80, 10_000)).split(" ")[0] ?? "");
    });
    let changes = 0;
    while (answers.length < 120) {
      lab.put(slice("web", rings[++changes % rings.length] ?? []));
      await proxy.settled();
    }
    await Promise.all(clients);
    expect(changes).toBeGreaterThan(rings.length);
    expect(new Set(answers)).toEqual(new Set(["pod1", "pod2"]));
  });

  it("SCTP is refused, and the other ports of the Service work", async () => {
    const ports = [
      { name: "http", port: 80, protocol: "TCP" as const },
      { name: "sctp", port: 3868, protocol: "SCTP" as const },
    ];
    lab.put(
      service("web", { clusterIP: vip, ports }),
      slice("web", [a.pod1], [{ ...ports[0], port: 8080 }, ports[1] as (typeof ports)[1]]),
    );
    await lab.startProxy(lab.userspace());
    expect(await ask(lab.outside, vip, 80)).toMatch(/^pod1 /);
    const table = await lab.nft.readTable({ family, name: USERSPACE_TABLE });
    expect(table?.elements.get("services")?.map(({ data }) => data)).toContainEqual({ kind: "goto", chain: "refuse" });
  });

  it("cleanup leaves nothing, and only its own", async () => {
    lab.put(service("web", { clusterIP: vip }), slice("web", [a.pod1]));
    await (await lab.startProxy(lab.nftables())).stop();
    await (await lab.startProxy(lab.userspace())).stop();
    const tables = async () => (await lab.nft.listTables()).filter((table) => table.family === family);
    expect((await tables()).map(({ name }) => name).sort()).toEqual(["podwire-services", USERSPACE_TABLE]);
    await lab.userspace().cleanup();
    expect((await tables()).map(({ name }) => name)).toEqual(["podwire-services"]);
  });
});
