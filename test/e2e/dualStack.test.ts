import { beforeAll, describe, expect, it } from "vitest";
import { eventually } from "#test/support/firstLight.ts";
import { clusterSuite } from "#test/support/suite.ts";

interface PodFacts {
  readonly spec: { readonly nodeName: string };
  readonly status: { readonly podIPs: readonly { readonly ip: string }[] };
}

describe("P01 P06 V01 V02 X01 IPv4 and IPv6 at once (part: dual stack)", () => {
  const suite = clusterSuite([
    ...["--pod-cidr", "10.244.0.0/16,fd00:10:244::/56"],
    ...["--service-cidr", "10.96.0.0/12,fd00:10:96::/112"],
  ]);
  const k = (command: string, input?: string): Promise<string> => suite.kubectl.ok(command, input);
  const inPod = (pod: string, script: string) => suite.kubectl.inPod("default", pod, script);
  const addresses = async (name: string): Promise<string[]> =>
    (await suite.kubectl.json<PodFacts>(`get pod ${name}`)).status.podIPs.map(({ ip }) => ip);
  /** IPv6 addresses of the pods, on node01 and node02. */
  const v6: Record<string, string> = {};

  beforeAll(async () => {
    for (const node of ["node01", "node02"]) {
      await suite.kubectl.okWords([
        "run",
        node,
        "--image=podwire/toolbox",
        `--overrides={"spec":{"nodeName":"${node}"}}`,
        "--",
        "sleep",
        "infinity",
      ]);
    }
    await k("create deployment web --image=podwire/echo --port=8080 --replicas=4");
    await k("wait --for=condition=Ready pod/node01 pod/node02 --timeout=60s");
    await k("rollout status deployment/web --timeout=60s");
  });

  it("nodes have a subnet and an address of each family", async () => {
    const path = "{range .items[*]}{.spec.podCIDRs}{.status.addresses[?(@.type=='InternalIP')].address}{'\\n'}{end}";
    expect(await suite.kubectl.okWords(["get", "nodes", "-o", `jsonpath=${path}`])).toBe(
      [0, 1, 2]
        .map(
          (i) =>
            `["10.244.${i}.0/24","fd00:10:244:${i || ""}${i ? "::" : ":"}/64"]192.168.1.1${i} fd00:192:168:1::${(10 + i).toString(16)}\n`,
        )
        .join(""),
    );
  });

  it("pods get both addresses, IPv4 first, on eth0, both with a default route", async () => {
    for (const [i, node] of ["node01", "node02"].entries()) {
      const [four = "", six = ""] = await addresses(node);
      expect(four).toMatch(new RegExp(`^10\\.244\\.${i + 1}\\.`));
      expect(six).toMatch(new RegExp(`^fd00:10:244:${i + 1}::`));
      v6[node] = six;
      const shown = await inPod(node, "ip -brief addr show eth0; ip route; ip -6 route");
      expect(shown).toContain(`${four}/24`);
      expect(shown).toContain(`${six}/64`);
      expect(shown).toMatch(new RegExp(`default via 10\\.244\\.${i + 1}\\.1 dev eth0`));
      expect(shown).toMatch(new RegExp(`default via fd00:10:244:${i + 1}::1 dev eth0`));
      expect(await inPod(node, "cat /etc/hosts")).toContain(`${six}\t${node}`);
    }
  });

  it("a ping over IPv6 across nodes, in vxlan on the underlay, without NAT", async () => {
    const capture = await suite.cluster.capture("node01", "udp port 8472 or ip6 proto 17");
    expect(await inPod("node01", `ping -6 -c3 -i 0.2 -W5 ${v6["node02"]}`)).toContain("3 received");
    await capture.shows(new RegExp(`IP6 ${v6["node01"]} > ${v6["node02"]}: ICMP6, echo request`));
    await capture.stop();
  });

  it("nodes ping pods over IPv6", async () => {
    for (const node of ["controlplane", "node01", "node02"]) {
      for (const pod of Object.values(v6))
        expect((await suite.cluster.sh(node, `ping -6 -c1 -W5 ${pod}`)).stdout).toContain("1 received");
    }
  });

  it("a dual-stack Service answers over IPv6 from every node's pods and nodes, with the clients' own addresses", async () => {
    const service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "web" },
      spec: {
        ipFamilyPolicy: "RequireDualStack",
        type: "NodePort",
        selector: { app: "web" },
        ports: [{ port: 80, targetPort: 8080, nodePort: 30666 }],
      },
    };
    expect(await k("create -f -", JSON.stringify(service))).toBe("service/web created\n");
    const [four = "", six = ""] = (
      await k("get svc web -o jsonpath={.spec.clusterIPs[0]},{.spec.clusterIPs[1]}")
    ).split(",");
    expect(four).toMatch(/^10\.(9[6-9]|10\d|11[01])\./);
    expect(six).toMatch(/^fd00:10:96::/);
    expect(await k("get svc web -o jsonpath={.spec.ipFamilies}")).toBe('["IPv4","IPv6"]');
    await eventually(async () =>
      expect(await k("get endpointslices -l kubernetes.io/service-name=web --no-headers")).toMatch(/IPv6 +8080/),
    );
    for (const node of ["node01", "node02"]) {
      await eventually(async () =>
        expect(await inPod(node, `curl -g -s -m 3 'http://[${six}]/'`)).toContain('"pod": "web-'),
      );
      const seen = new Set<string>();
      for (let i = 0; i < 60 && seen.size < 2; i++) {
        const answer = JSON.parse(await inPod(node, `curl -g -s -m 3 'http://[${six}]/'`)) as {
          client: string;
          node: string;
        };
        expect(answer.client).toContain(v6[node]);
        seen.add(answer.node);
      }
      expect(seen.size).toBe(2);
      await eventually(async () => expect(await inPod(node, `curl -s -m 3 http://${four}/`)).toContain('"pod": "web-'));
    }
    for (const node of ["controlplane", "node01", "node02"])
      await eventually(async () =>
        expect((await suite.cluster.sh(node, `curl -g -s -m 3 'http://[${six}]/'`)).stdout).toContain('"pod": "web-'),
      );
  });

  it("its NodePort answers at the nodes' IPv6 addresses", async () => {
    for (const i of [10, 11, 12]) {
      const url = `http://[fd00:192:168:1::${i.toString(16)}]:30666/`;
      await eventually(async () =>
        expect((await suite.cluster.sh("router", `curl -g -s -m 3 '${url}'`)).stdout).toContain('"pod": "web-'),
      );
    }
  });

  it("its name has an A and an AAAA record, and reverse names of both families", async () => {
    const six = await k("get svc web -o jsonpath={.spec.clusterIPs[1]}");
    const dig = async (question: string) => (await inPod("node01", `dig +short ${question}`)).trim();
    await eventually(async () => expect(await dig("web.default.svc.cluster.local AAAA")).toBe(six));
    await eventually(async () => expect(await dig("web.default.svc.cluster.local A")).toMatch(/^10\./));
    await eventually(async () => expect(await dig(`-x ${six}`)).toBe("web.default.svc.cluster.local."));
    await eventually(async () =>
      expect(await inPod("node01", "curl -6 -s -m 3 http://web/")).toContain('"pod": "web-'),
    );
  });

  it("a Service of one family alone, IPv6, answers too", async () => {
    const service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "six" },
      spec: { ipFamilies: ["IPv6"], selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }] },
    };
    await k("create -f -", JSON.stringify(service));
    expect(await k("get svc six -o jsonpath={.spec.clusterIPs}")).toMatch(/^\["fd00:10:96::[0-9a-f:]+"\]$/);
    await eventually(async () => expect(await inPod("node02", "curl -s -m 3 http://six/")).toContain('"pod": "web-'));
  });

  it("podwire check proves the pod network for both families", async () => {
    const { code, stdout } = await suite.cluster.podwire("check");
    expect(stdout).not.toContain("✗");
    expect(code).toBe(0);
    // As many of one family as of the other: each pod, and each node, has an address of both.
    for (const claim of ["every pod reaches every pod on its node", "every pod reaches every pod on other nodes"])
      expect(stdout).toMatch(new RegExp(`✓ ${claim} \\(\\d+ paths: (\\d+) IPv4, \\1 IPv6\\)`));
    expect(stdout).toMatch(/✓ nodes reach all pods \(\d+ paths: (\d+) IPv4, \1 IPv6\)/);
    expect(stdout).toMatch(/✓ no address is translated on the way \(\d+ paths: (\d+) IPv4, \1 IPv6\)/);
  });
});
