import { describe, expect, it } from "vitest";
import { Client, type ConfigMap, type Pod } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { clusterObjects } from "../plugins/kubernetes/testCluster.ts";
import { fillApi } from "../testing.ts";
import { type DnsQuestion, explainLookup } from "./answer.ts";
import { ClusterServer, type ClusterServerOptions } from "./clusterServer.ts";
import { type AskServer, reasoned } from "./index.ts";
import { configMapsOf, surroundingsOf } from "./podFiles.ts";
import { nameServerAt } from "./servers.ts";
import { dnsAnswerText } from "./text.ts";

const COREFILE = `.:53 {
    errors
    kubernetes cluster.local in-addr.arpa {
        pods verified
        ttl 30
    }
    hosts {
        192.0.2.44 legacy.example
        fallthrough
    }
    forward . /etc/resolv.conf {
        except corp.example
    }
    cache 30
}
`;
const OBJECTS = clusterObjects();
const RESOLV =
  "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n";

async function withServer<T>(
  work: (ask: AskServer) => Promise<T>,
  corefile = COREFILE,
  outside = true,
  more: Partial<ClusterServerOptions> = {},
): Promise<T> {
  const api = new FakeApi();
  fillApi(api);
  const server = await ClusterServer.start({
    file: "Corefile",
    text: corefile,
    connect: async () => new Client(api, { userAgent: "test" }),
    ...more,
  });
  const zones = server.clusterZones;
  try {
    return await work(async (_, name, type) => {
      const answer = await server.ask(name, type);
      return reasoned(answer, { name: name.toLowerCase(), type, objects: OBJECTS, zones, outside });
    });
  } finally {
    await server.stop();
  }
}

const explain = (name: string, more: Partial<DnsQuestion> = {}) =>
  withServer((ask) =>
    explainLookup({ name, tool: "glibc", from: "a test", resolvConf: RESOLV, hosts: "", ...more }, ask),
  );
const reasons = async (name: string, more: Partial<DnsQuestion> = {}) =>
  (await explain(name, more)).lookup?.queries
    .filter(({ type }) => type === "A")
    .map(({ name: full, outcome, because, origin }) => [full, outcome, because ?? `${origin?.kind} ${origin?.name}`]);

describe("D02 X01 dns explain (part: which name, server, plugin and object)", () => {
  it("in words", async () => {
    expect(dnsAnswerText(await explain("wear-service.app-space"))).toBe(`\
wear-service.app-space, looked up by glibc in a test

resolv.conf  as given
  search     default.svc.cluster.local svc.cluster.local cluster.local
  servers    10.96.0.10
  options    ndots:5 timeout:5 attempts:2
before DNS   files  nothing  /etc/hosts does not have it

asked        wear-service.app-space.default.svc.cluster.local.  A, AAAA  10.96.0.10  NXDOMAIN                kubernetes (Corefile:3)  there is no Service app-space in namespace default; there are kubernetes, dual, hdls, hdls-empty, hdls-early, …
             wear-service.app-space.svc.cluster.local.          A        10.96.0.10  10.96.7.7, ttl 30       kubernetes (Corefile:3)  Service app-space/wear-service spec.clusterIPs[0]
             wear-service.app-space.svc.cluster.local.          AAAA     10.96.0.10  exists, no such record  kubernetes (Corefile:3)  Service app-space/wear-service has no IPv6 address

result       10.96.7.7, as wear-service.app-space.svc.cluster.local., from 10.96.0.10
cost         4 queries, 2 of them for names that the search list makes up
             wear-service.app-space.svc.cluster.local. would be found by the first query
`);
  });

  it("as JSON: the members that docs/dns.md promises", async () => {
    const query = { server: "10.96.0.10", protocol: "udp", times: 1, waitSeconds: 0, plugin: "kubernetes" };
    const place = { domain: "svc.cluster.local", at: { file: "Corefile", line: 3 } };
    const name = "wear-service.app-space.svc.cluster.local.";
    const origin = { kind: "Service", namespace: "app-space", name: "wear-service" };
    const resolvConf = "search svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n";
    const answer = await explain("wear-service.app-space", { resolvConf });
    expect(JSON.parse(JSON.stringify(answer))).toEqual({
      name: "wear-service.app-space",
      tool: "glibc",
      from: "a test",
      resolver: {
        nameservers: ["10.96.0.10"],
        search: ["svc.cluster.local"],
        ...{ ndots: 5, timeoutSeconds: 5, attempts: 2, rotate: false, options: [], ignored: [] },
      },
      sources: [{ source: "files", addresses: [], because: "/etc/hosts does not have it" }],
      lookup: {
        ...{ end: "found", name, server: "10.96.0.10", addresses: ["10.96.7.7"], leftOut: [] },
        queries: [
          {
            ...{ ...query, ...place, name, type: "A", outcome: "records", records: ["10.96.7.7"], ttl: 30 },
            origin: { ...origin, field: "spec.clusterIPs[0]" },
          },
          {
            ...{ ...query, ...place, name, type: "AAAA", outcome: "nodata", records: [] },
            origin: { ...origin, field: "spec.ipFamilies" },
            because: "Service app-space/wear-service has no IPv6 address",
          },
        ],
      },
      cost: { queries: 2, inVain: 0, waitSeconds: 0 },
    });
  });

  it.each([
    [
      "wear-service",
      "there is no Service wear-service in namespace default; it is in another one: wear-service.app-space",
    ],
    ["kubernets", "there is no Service kubernets in namespace default; near are kubernetes"],
    ["hdls-empty", "Service default/hdls-empty is headless and has no endpoints: no pod is selected"],
    ["web.app-spac.svc.cluster.local.", "there is no namespace app-spac; near are app-space"],
    ["10-9-9-9.default.pod.cluster.local.", "no pod of namespace default has the address 10.9.9.9"],
    [
      "web.cluster.local.",
      "no name of this form is in cluster.local; there are SERVICE.NAMESPACE.svc.cluster.local, 10-244-1-2.NAMESPACE.pod.cluster.local",
    ],
  ])("why %s is not there", async (name, because) => {
    expect((await reasons(name))?.[0]?.[2]).toBe(because);
  });

  it("upstream: outside is off, or asked elsewhere; an alias of such a name is an answer and ends the lookup", async () => {
    const off = (ask: AskServer) => ask("10.96.0.10", "www.example.com.", "A");
    const servers = "it is asked of the servers of /etc/resolv.conf";
    expect(await withServer(off, COREFILE, false)).toMatchObject({
      outcome: "servfail",
      plugin: "forward",
      because: `${servers}; outside is off (podwire up --outside on)`,
    });
    const question = { name: "ext", tool: "glibc", from: "x", resolvConf: RESOLV, hosts: "" } as const;
    const who = "Service default/ext is an alias of www.example.com";
    const alias = await withServer((ask) => explainLookup(question, ask), COREFILE, false);
    expect(alias.lookup).toMatchObject({ end: "nodata", queries: [{ outcome: "nodata" }, { type: "AAAA" }] });
    expect(alias.lookup?.queries).toHaveLength(2);
    expect(alias.lookup?.queries[0]).toMatchObject({
      alias: "www.example.com.",
      origin: { kind: "Service", name: "ext", field: "spec.externalName" },
      because: `${who}: ${servers}; outside is off (podwire up --outside on)`,
    });
    const asked = (await explain("ext")).lookup;
    expect([asked?.end, asked?.queries.length]).toEqual(["unknown", 2]);
    expect(asked?.queries[0]).toMatchObject({ outcome: "unknown", because: `${who}: ${servers}` });
    expect((await explain("ext-in")).lookup).toMatchObject({ end: "found", addresses: ["10.96.0.1"] });
  });

  it("a Service without endpoints has an address all the same, and it is said that nothing is behind it", async () => {
    expect((await explain("dual")).lookup?.queries[0]).toMatchObject({
      records: ["10.96.3.3"],
      origin: { name: "dual", field: "spec.clusterIPs[0]" },
      because: "Service default/dual is there, but it has no endpoints: connections are refused",
    });
    expect((await explain("wear-service.app-space")).lookup?.queries.at(-2)).not.toHaveProperty("because");
  });

  it("a search list that is too long: musl's, and one that makes names too long for DNS", async () => {
    const long = `search ${Array.from({ length: 20 }, (_, i) => `domain-${i}.example`).join(" ")}\nnameserver 10.96.0.10\n`;
    const musl = await explain("kubernetes", { tool: "musl", resolvConf: long });
    expect(dnsAnswerText(musl)).toMatch(/ignored +the search list: musl passes over one of more than 255 characters/);
    const labels = (letters: string) => [...letters].map((letter) => letter.repeat(60)).join(".");
    const resolvConf = `search ${labels("de")} test\nnameserver 10.96.0.10\n`;
    const { lookup } = await explain(labels("abc"), { resolvConf });
    expect(lookup?.leftOut).toEqual([
      `search domain ${labels("de")}: with it the name is longer than the 255 bytes of DNS, and glibc leaves those after it as well`,
    ]);
    expect(lookup?.queries.map(({ name }) => name)).toEqual([`${labels("abc")}.`, `${labels("abc")}.`]);
  });

  it("a name beyond the cluster: what the search list costs, and who is asked in the end", async () => {
    const { lookup, cost } = await explain("www.example.com");
    expect(lookup?.end).toBe("unknown");
    expect(lookup?.queries.at(-1)).toMatchObject({
      name: "www.example.com.",
      plugin: "forward",
      at: { line: 11 },
      because: "it is asked of the servers of /etc/resolv.conf",
    });
    expect(cost).toMatchObject({ queries: 8, inVain: 6 });
    expect(cost.advice).toBe(
      "2 dots are less than ndots:5, so 3 search domains come first: ask for www.example.com. with its last dot, or set ndots to 2 in spec.dnsConfig",
    );
  });

  it("entries of the Corefile, and names that no plugin takes", async () => {
    expect((await explain("legacy.example.")).lookup).toMatchObject({ end: "found", addresses: ["192.0.2.44"] });
    const corp = await explain("git.corp.example.");
    expect(corp.lookup?.queries[0]?.because).toBe("no plugin of the Corefile is for this name: SERVFAIL");
    expect(corp.lookup?.end).toBe("later");
    // The zone's own name is forwarded though it is excepted.
    const own = ".:53 {\n forward corp.example 192.0.2.1 {\n except corp.example\n }\n}\n";
    const asked = async (name: string) => await withServer((ask) => ask("", name, "A"), own);
    expect(await asked("corp.example.")).toMatchObject({ outcome: "unknown", plugin: "forward" });
    expect(await asked("git.corp.example.")).toMatchObject({ outcome: "servfail" });
  });

  it("a hosts file in the server's pod is not known, its entries in the Corefile are", async () => {
    const corefile =
      ".:53 {\n hosts /etc/coredns/own example {\n 192.0.2.45 in.example\n fallthrough\n }\n forward . 192.0.2.1\n}\n";
    await withServer(async (askServer) => {
      expect(await askServer("", "in.example.", "A")).toMatchObject({ outcome: "records", records: ["192.0.2.45"] });
      const because = "a file of the server's decides: /etc/coredns/own";
      expect(await askServer("", "out.example.", "A")).toMatchObject({ outcome: "unknown", plugin: "hosts", because });
      expect(await askServer("", "else.test.", "A")).toMatchObject({ outcome: "unknown", plugin: "forward" });
    }, corefile);
  });

  it("the pod of a server gives its Corefile variables and files; the client's address counts", async () => {
    const corefile = `.:53 {
 kubernetes {$DOMAIN}
 import custom/*.override
 forward . tls://192.0.2.1 {
  tls /etc/own/cert.pem /etc/own/key.pem
 }
}
`;
    const pod = {
      metadata: { name: "coredns-1", namespace: "kube-system" },
      spec: {
        containers: [
          {
            name: "coredns",
            image: "coredns",
            env: [{ name: "DOMAIN", value: "cluster.local" }],
            volumeMounts: [
              { name: "config", mountPath: "/etc/coredns" },
              { name: "custom", mountPath: "/etc/coredns/custom" },
            ],
          },
        ],
        volumes: [
          { name: "config", configMap: { name: "coredns", items: [{ key: "Corefile", path: "Corefile" }] } },
          { name: "custom", configMap: { name: "coredns-custom" } },
        ],
      },
    } as unknown as Pod;
    const map = (name: string, data: Record<string, string>) => ({ metadata: { name }, data }) as unknown as ConfigMap;
    const acl = "acl cluster.local {\n block net 10.244.2.0/24\n}\n";
    const maps = [map("coredns", { Corefile: corefile }), map("coredns-custom", { "a.override": acl, "b.txt": "x" })];
    expect(configMapsOf(pod)).toEqual(["coredns", "coredns-custom"]);
    const outcomeFor = (peer: string) =>
      withServer(async (ask) => (await ask("", "kubernetes.default.svc.cluster.local.", "A")).outcome, corefile, true, {
        ...surroundingsOf(pod, maps),
        peer,
      });
    expect(await outcomeFor("10.244.1.7")).toBe("records");
    expect(await outcomeFor("10.244.2.7")).toBe("refused");
  });

  it("files that plugins need are those of the server's pod; what such a file decides is unknown when it is not known", async () => {
    const pod = {
      metadata: { name: "coredns-1", namespace: "kube-system" },
      spec: {
        containers: [
          { name: "coredns", image: "coredns", volumeMounts: [{ name: "config", mountPath: "/etc/coredns" }] },
        ],
        volumes: [{ name: "config", configMap: { name: "coredns" } }],
      },
    } as unknown as Pod;
    const outcome = (corefile: string, name = "kubernetes.default.svc.cluster.local.") => {
      const data = {
        Corefile: corefile,
        nets: "10.244.2.0/24\n",
        "search.conf": "search none.svc.cluster.local svc.cluster.local\n",
      };
      const maps = [{ metadata: { name: "coredns" }, data } as unknown as ConfigMap];
      return withServer((ask) => ask("", name, "A"), corefile, true, {
        ...surroundingsOf(pod, maps),
        peer: "10.244.2.7",
      });
    };
    const block = (line: string) => `.:53 {\n ${line}\n kubernetes cluster.local\n}\n`;
    const aclOf = (file: string) => block(`acl cluster.local {\n  block file ${file}\n }`);
    expect(await outcome(aclOf("nets"))).toMatchObject({ outcome: "refused" });
    expect(await outcome(aclOf("/etc/passwd"))).toMatchObject({
      outcome: "unknown",
      plugin: "acl",
      because: "a file of the server's decides: /etc/passwd",
    });
    await expect(outcome(aclOf("none"))).rejects.toThrow("/etc/coredns/none");
    const walked = "kubernetes.default.none.svc.cluster.local.";
    expect(await outcome(block("autopath search.conf"), walked)).toMatchObject({ records: ["10.96.0.1"] });
    expect(await outcome(block("autopath /etc/resolv.conf"), walked)).toMatchObject({
      outcome: "unknown",
      plugin: "autopath",
      because: "a file of the server's decides: /etc/resolv.conf",
    });
    const forward = (to: string) => outcome(block(`forward . ${to}`), "www.example.com.");
    expect(await forward("/etc/custom-resolv.conf")).toMatchObject({
      outcome: "unknown",
      plugin: "forward",
      because: "it is asked of the servers of /etc/custom-resolv.conf",
    });
    await expect(forward("192.0.2.x")).rejects.toThrow("not an IP address or file");
    const tls = ".:53 {\n kubernetes cluster.local {\n endpoint https://192.0.2.1\n tls a.pem b.pem c.pem\n }\n}\n";
    expect(await outcome(tls)).toMatchObject({ outcome: "records" });
  });

  it("an address is looked up by nobody but nslookup and host, which ask for its name", async () => {
    expect(await explain("10.96.0.1")).toMatchObject({
      sources: [{ source: "itself", addresses: ["10.96.0.1"] }],
      cost: { queries: 0 },
    });
    const { lookup } = await explain("10.96.0.1", { tool: "host" });
    expect(lookup?.queries).toMatchObject([{ name: "1.0.96.10.in-addr.arpa.", type: "PTR", plugin: "kubernetes" }]);
    expect(lookup).toMatchObject({ end: "found", addresses: ["kubernetes.default.svc.cluster.local."] });
  });

  it("no advice to set ndots where the name has that many dots", async () => {
    const resolvConf = "search default.svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:1\n";
    expect((await explain("www.example", { resolvConf })).cost).not.toHaveProperty("advice");
  });

  it("D01 D03 /etc/hosts comes first, in the order of nsswitch.conf", async () => {
    const hosts = "10.0.0.5 kubernetes db\n";
    expect(await explain("db", { hosts })).toMatchObject({
      sources: [{ addresses: ["10.0.0.5"] }],
      cost: { queries: 0 },
    });
    const dnsFirst = await explain("kubernetes", { hosts, nsswitch: "hosts: dns files\n" });
    expect(dnsFirst).toMatchObject({ sources: [], lookup: { addresses: ["10.96.0.1"] } });
    const local = await explain("printer.local", { nsswitch: "hosts: files mdns4_minimal [NOTFOUND=return] dns\n" });
    expect(local.lookup).toBeUndefined();
    expect(dnsAnswerText(local)).toContain("it asks by multicast, and [NOTFOUND=return] ends the lookup here");
    const nsswitch = "hosts: files mdns4_minimal [NOTFOUND=return] dns\n";
    const inPod = await explain("printer.local", { nsswitch, multicast: false });
    expect(inPod.sources[1]?.because).toBe(
      "no avahi daemon runs here: it is unavailable, and the next source is asked",
    );
    expect(inPod.lookup?.queries.at(-1)?.name).toBe("printer.local.");
    const other = await explain("kubernetes", { nsswitch: "hosts: files mdns4_minimal [NOTFOUND=return] dns\n" });
    expect(other.lookup?.addresses).toEqual(["10.96.0.1"]);
    expect((await explain("db", { hosts, tool: "nslookup" })).sources[0]?.because).toBe(
      "nslookup asks DNS alone: /etc/hosts does not count",
    );
  });
});

describe("X02 which server a resolv.conf names (part: the cluster's)", () => {
  it("a Service without ready endpoints refuses; other addresses are elsewhere", () => {
    const { slices } = OBJECTS;
    const ownSlices = slices.filter(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === "kube-dns");
    expect(
      nameServerAt("10.96.0.10", { ...OBJECTS, slices: slices.filter((one) => !ownSlices.includes(one)) }),
    ).toEqual({
      kind: "refuses",
      because: "Service kube-system/kube-dns has no endpoints: packets are refused",
      origin: { kind: "Service", namespace: "kube-system", name: "kube-dns", field: "spec.selector" },
    });
    expect(nameServerAt("8.8.8.8", OBJECTS)).toEqual({
      kind: "elsewhere",
      because: "8.8.8.8 is no server of this cluster",
    });
  });
});
