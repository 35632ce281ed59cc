import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Client } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { freePort } from "#base/testing/ports.ts";
import { query } from "#wire/dns/index.ts";
import { eventually, fillApi, testServers } from "../../testing.ts";
import { shown, testBlock } from "../testBlock.ts";
import { ClusterRecords } from "./model.ts";
import { service, testIndex } from "./testCluster.ts";

const { start, temporary, upstream } = testServers();

describe("X01 the kubernetes plugin at work (part: server)", () => {
  const corefile = `.:0 {
    errors
    ready 127.0.0.1:0
    kubernetes cluster.local in-addr.arpa {
      pods insecure
      fallthrough in-addr.arpa
    }
    forward . 127.0.0.1:1
    cache 30
  }`;

  it("negative answers carry the zone's SOA record and AA", async () => {
    const { askMessage, server } = await start(corefile);
    await eventually(() => server.notReady().length === 0);
    for (const [question, rcode] of [
      ["nope.default.svc.cluster.local A", 3],
      ["kubernetes.default.svc.cluster.local AAAA", 0],
    ] as const) {
      const message = await askMessage(question);
      expect([message.rcode, message.authoritative, message.answers.length]).toEqual([rcode, true, 0]);
      expect(message.authorities[0]).toMatchObject({
        name: "cluster.local.",
        ttl: 5,
        data: { kind: "soa", mname: "ns.dns.cluster.local.", rname: "hostmaster.cluster.local.", minimum: 5 },
      });
    }
  });

  it("a new Service resolves at once, also after its name was denied", async () => {
    const { ask, api, server } = await start(corefile);
    await eventually(() => server.notReady().length === 0);
    expect(await ask("late.default.svc.cluster.local A")).toEqual(["NXDOMAIN"]);
    api.put("/api/v1/services", service("late", { clusterIP: "10.96.4.4" }));
    // Before the five seconds of the denial are over.
    await eventually(async () => (await ask("late.default.svc.cluster.local A")).length === 2, 4000);
  });

  it("does not deny names before its first state is complete, and says so when asked if ready", async () => {
    const gate = Promise.withResolvers<void>();
    const api = new FakeApi();
    api.onRequest = () => gate.promise;
    const { ask, server } = await start(corefile, {}, api);
    expect(server.notReady()).toEqual(["kubernetes"]);
    expect(await ask("nope.default.svc.cluster.local A")).toEqual(["SERVFAIL"]);
    gate.resolve();
    await eventually(() => server.notReady().length === 0);
    expect(await ask("nope.default.svc.cluster.local A")).toEqual(["NXDOMAIN"]);
  });

  it("keeps serving when the API is away, and says so in health and metrics", async () => {
    const port = await freePort();
    const health = async () => await (await fetch(`http://127.0.0.1:${port}/health`)).text();
    const path = join(await temporary(), "Corefile");
    const text = corefile.replace("errors", `health 127.0.0.1:${port}`);
    const { ask, api, server, metrics } = await start(text, { corefile: path });
    expect(await health()).toBe("OK");
    await eventually(() => server.notReady().length === 0);
    api.onRequest = () => {
      throw new Error("away");
    };
    api.breakWatches();
    expect(await ask("kubernetes.default.svc.cluster.local A")).toHaveLength(2);
    expect(server.notReady()).toEqual([]);
    await expect.poll(health).toContain("OK\nplugin/kubernetes: watch of services is broken: ");
    const broken = /podwire_dns_kubernetes_watch_broken\{resource="services"\} (\d)/;
    expect(broken.exec(metrics.text())?.[1]).toBe("1");
    // A new Corefile goes on with what is known, and with the watches.
    await writeFile(path, text.replace("pods insecure", "pods insecure\n ttl 7"));
    await server.reload();
    const known = ["NOERROR", "kubernetes.default.svc.cluster.local. 7 IN A 10.96.0.1"];
    expect(await ask("kubernetes.default.svc.cluster.local A")).toEqual(known);
    expect(server.notReady()).toEqual([]);
    api.onRequest = () => {};
    await expect.poll(health).toBe("OK");
    expect(broken.exec(metrics.text())?.[1]).toBe("0");
    api.put("/api/v1/services", service("late", { clusterIP: "10.96.0.77" }));
    await expect.poll(() => ask("late.default.svc.cluster.local A")).toHaveLength(2);
  });

  it("ExternalName follows inside, outside and not in circles", async () => {
    const { port } = await upstream((asked) => ({
      ...asked,
      response: true,
      answers: [
        {
          name: "www.example.com.",
          type: 1,
          class: 1,
          ttl: 100,
          data: { kind: "address", address: Uint8Array.of(192, 0, 2, 53) },
        },
      ],
    }));
    const { ask, server } = await start(corefile.replace("127.0.0.1:1", `127.0.0.1:${port}`));
    await eventually(() => server.notReady().length === 0);
    expect(await ask("ext.default.svc.cluster.local A")).toEqual([
      "NOERROR",
      "ext.default.svc.cluster.local. 5 IN CNAME www.example.com.",
      "www.example.com. 30 IN A 192.0.2.53",
    ]);
    expect(await ask("ext-in.default.svc.cluster.local A")).toEqual([
      "NOERROR",
      "ext-in.default.svc.cluster.local. 5 IN CNAME kubernetes.default.svc.cluster.local.",
      "kubernetes.default.svc.cluster.local. 5 IN A 10.96.0.1",
    ]);
    expect((await ask("ext-loop.default.svc.cluster.local A"))[0]).toBe("NOERROR");
    expect(await ask("ext.default.svc.cluster.local CNAME")).toHaveLength(2);
  });
});

describe("X01 which names the kubernetes plugin shows (part: namespaces, namespace_labels, metadata)", () => {
  const cluster = (options: string, api = new FakeApi()) => {
    fillApi(api);
    return testBlock(`. {\n kubernetes cluster.local in-addr.arpa {\n${options} }\n}`, async () => new Client(api));
  };
  const started = async (options: string) => {
    const block = await cluster(options);
    const plugin = block.plugins[0];
    await plugin?.start?.();
    await plugin?.settled?.();
    return { ...block, plugin };
  };

  it("namespaces shows these alone", async () => {
    const { ask, plugin } = await started("namespaces app-space\n");
    const answers = async (question: string) => shown(await ask(question))?.[0];
    expect(await answers("wear-service.app-space.svc.cluster.local. A")).toBe("NOERROR");
    expect(await answers("kubernetes.default.svc.cluster.local. A")).toBe("NXDOMAIN");
    expect(await answers("default.svc.cluster.local. A")).toBe("NXDOMAIN");
    expect(await answers("1.0.96.10.in-addr.arpa. PTR")).toBe("NXDOMAIN");
    await plugin?.stop?.();
  });

  it("namespaces selected by label that are not known hide their Services, both ways", () => {
    const index = testIndex();
    index.deleteNamespace("default");
    const options = {
      primaryZone: "cluster.local.",
      ttl: 5,
      podMode: "disabled",
      endpointPodNames: false,
      ignoreEmptyService: false,
    } as const;
    const kind = (labelledNamespaces: boolean, name: string, zone: string, type: number) =>
      new ClusterRecords(index, { ...options, labelledNamespaces }).lookup(name, name, zone, type).kind;
    const forward = ["kubernetes.default.svc.cluster.local.", "cluster.local.", 1] as const;
    const back = ["1.0.96.10.in-addr.arpa.", "in-addr.arpa.", 12] as const;
    expect([kind(false, ...forward), kind(true, ...forward)]).toEqual(["records", "nxdomain"]);
    expect([kind(false, ...back), kind(true, ...back)]).toEqual(["records", "nxdomain"]);
  });

  it("says what it knows of a request", async () => {
    const { plugin } = await started("pods verified\n");
    const name = "_http._tcp.hdls.default.svc.cluster.local.";
    const question = { name, type: 33, class: 1 };
    const peer = { address: "10.244.2.5", port: 1, protocol: "udp" as const };
    const request = { message: query(1, question), question, name, peer, server: "dns://:53", zone: "." };
    const known = Object.fromEntries(
      [...(plugin?.metadata?.(request) ?? [])].map(([label, value]) => [label, value()]),
    );
    expect(known).toEqual({
      "kubernetes/client-namespace": "default",
      "kubernetes/client-pod-name": "web",
      "kubernetes/kind": "svc",
      "kubernetes/namespace": "default",
      "kubernetes/service": "hdls",
      "kubernetes/endpoint": "",
      "kubernetes/port-name": "http",
      "kubernetes/protocol": "tcp",
    });
    await plugin?.stop?.();
  });
});
