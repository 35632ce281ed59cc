import { request } from "node:http";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { TestCluster } from "./cluster.ts";
import { checkout } from "./installation.ts";

/** Answer of a plain HTTP request from the host. */
interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** GET as curl would do it, with a Host header of choice. */
export function get(url: string, host?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request(url, { agent: false, timeout: 5000, ...(host ? { headers: { host } } : {}) }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (data: string) => {
        body += data;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }));
    });
    req.on("error", reject);
    req.on("timeout", () => req.destroy(new Error(`${url}: no answer`)));
    req.end();
  });
}

/** Tries until `attempt` passes; the last failure counts. */
export async function eventually<T>(attempt: () => Promise<T>, timeoutMs = 30_000): Promise<T> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

const NODES = ["controlplane", "node01", "node02"] as const;
const BOX = { name: "box", namespace: "default" };

/** Everything that a newcomer does with the online store, as tests of one running cluster. */
export function firstLightTests(cluster: () => TestCluster): void {
  const kubectl = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cluster().kubectl(...args);
    expect({ args, code, stderr: code === 0 ? "" : stderr }).toEqual({ args, code: 0, stderr: "" });
    return stdout;
  };
  const inBox = (script: string): Promise<string> => kubectl("exec", BOX.name, "--", "/bin/sh", "-c", script);
  const json = async <T>(...args: string[]): Promise<T> => JSON.parse(await kubectl(...args, "-o", "json")) as T;

  it("K01 nodes have their addresses and are ready (part: addresses)", async () => {
    const lines = (await kubectl("get", "nodes", "-o", "wide", "--no-headers")).trim().split("\n");
    const cells = lines.map((line) => line.split(/\s+/));
    expect(cells.map((c) => [c[0], c[1], c[5]])).toEqual([
      ["controlplane", "Ready", "192.168.1.10"],
      ["node01", "Ready", "192.168.1.11"],
      ["node02", "Ready", "192.168.1.12"],
    ]);
    expect(await kubectl("describe", "node", "node01")).toContain("PodCIDR:");
  });

  it("the shop's manifests, applied by hand, are what is there already", async () => {
    const said = await kubectl("apply", "-f", join(checkout, "examples/online-store"));
    expect(said.trim().split("\n").length).toBeGreaterThan(7);
    expect(said.replace(/^\S+ unchanged\n/gm, "")).toBe("");
  });

  it("status tells when the first answer came", async () => {
    await eventually(async () => expect((await cluster().status()).firstAnswerMs).toBeGreaterThan(0));
  });

  it("G02 paths of the ingress reach the right service, others the default backend (part: paths)", async () => {
    const { urls } = await cluster().status();
    const ingress = urls.ingress ?? "";
    await eventually(async () => expect((await get(`${ingress}/wear`)).body).toBe("Welcome to the wear store\n"));
    await eventually(async () => expect((await get(`${ingress}/watch`)).body).toBe("Welcome to the watch store\n"));
    const other = await get(`${ingress}/elsewhere`);
    expect(other.status).toBe(404);
    expect(other.body).toContain("default backend - 404");
  });

  it("V02 the NodePort answers at each node's address (part: ClusterIP and NodePort)", async () => {
    const { nodes } = await cluster().status();
    for (const node of nodes) {
      // Each node's proxy and the parent's listener follow the Service by themselves.
      await eventually(async () =>
        expect((await get(`http://${node.hostAddress}:30080/wear`)).body).toBe("Welcome to the wear store\n"),
      );
      const inside = await cluster().sh("router", `curl -s -m 10 http://${node.address}:30080/watch`);
      expect(inside.stdout).toBe("Welcome to the watch store\n");
    }
  });

  it("X01 U02 a pod resolves and reaches Services by short and full names (part: names of Services)", async () => {
    await kubectl("run", BOX.name, "--image=podwire/toolbox", "--", "sleep", "infinity");
    await kubectl("wait", "--for=condition=Ready", "pod/box", "--timeout=60s");
    const address = await kubectl("get", "svc", "-n", "app-space", "wear-service", "-o", "jsonpath={.spec.clusterIP}");
    for (const name of ["wear-service.app-space", "wear-service.app-space.svc.cluster.local"])
      await eventually(async () => expect(await inBox(`nslookup ${name}`)).toContain(address));
    await eventually(async () =>
      expect(await inBox("curl -s -m 5 wear-service.app-space:8282")).toBe("Welcome to the wear store\n"),
    );
    expect(await inBox("ip route")).toMatch(/^default via 10\.244\.\d\.1 dev eth0/);
  });

  it("P01 servers see the pod's own address, pod to pod and through a Service, across nodes (part: source addresses)", async () => {
    const box = await json<{ status: { podIP: string }; spec: { nodeName: string } }>("get", "pod", BOX.name);
    const wear = await json<{ items: { status: { podIP: string }; spec: { nodeName: string } }[] }>(
      "get",
      "pods",
      "-n",
      "app-space",
      "-l",
      "app=wear",
    );
    expect(new Set(wear.items.map((p) => p.spec.nodeName))).toEqual(new Set(["node01", "node02"]));
    const far = wear.items.find((p) => p.spec.nodeName !== box.spec.nodeName);
    expect(await inBox(`curl -s -m 5 -D - -o /dev/null http://${far?.status.podIP}:8282/`)).toMatch(
      new RegExp(`x-client: ${box.status.podIP.replaceAll(".", "\\.")}`, "i"),
    );
    for (let i = 0; i < 6; i++) {
      expect(await inBox("curl -s -m 5 -D - -o /dev/null http://wear-service.app-space:8282/")).toMatch(
        new RegExp(`x-client: ${box.status.podIP.replaceAll(".", "\\.")}`, "i"),
      );
    }
  });

  it("P06 a capture on the underlay shows vxlan with both pods' addresses inside (part: nodes of ours)", async () => {
    const box = await json<{ status: { podIP: string }; spec: { nodeName: string } }>("get", "pod", BOX.name);
    const wear = await json<{ items: { status: { podIP: string }; spec: { nodeName: string } }[] }>(
      "get",
      "pods",
      "-n",
      "app-space",
      "-l",
      "app=wear",
    );
    const far = wear.items.find((p) => p.spec.nodeName !== box.spec.nodeName);
    const capture = await cluster().capture(box.spec.nodeName, "udp port 8472");
    await inBox(`curl -s -m 5 -o /dev/null http://${far?.status.podIP}:8282/`);
    await capture.shows(
      /192\.168\.1\.1[012]\.\d+ > 192\.168\.1\.1[012]\.8472: OTV, flags \[I\] .*, (?:overlay 0, )?instance 1/,
    );
    const [from, to] = [box, far].map((pod) => pod?.status.podIP.replaceAll(".", "\\."));
    await capture.shows(new RegExp(`IP ${from}\\.\\d+ > ${to}\\.8282: Flags`));
    await capture.stop();
  });

  it("P01 K02 podwire check proves the pod network and the required ports (part: a lab; no etcd, nothing missing)", async () => {
    const { stdout, code } = await cluster().podwire("check");
    expect(stdout).not.toContain("✗");
    expect(code).toBe(0);
    expect(stdout).toMatch(/✓ every pod reaches every pod on other nodes \([1-9]\d* paths\)/);
  });

  it("G03 without rewrite-target the shop does not find /wear (part: rewrite-target)", async () => {
    const { urls } = await cluster().status();
    const annotation = "nginx.ingress.kubernetes.io/rewrite-target";
    await kubectl("annotate", "ingress", "-n", "app-space", "ingress-wear-watch", `${annotation}-`);
    await eventually(async () => expect((await get(`${urls.ingress}/wear`)).status).toBe(404));
    await kubectl("annotate", "ingress", "-n", "app-space", "ingress-wear-watch", `${annotation}=/`);
    await eventually(async () => expect((await get(`${urls.ingress}/wear`)).status).toBe(200));
  });

  it("G02 the host-based ingress of the notes, corrected, tells the shops apart by name (part: hosts)", async () => {
    const { urls } = await cluster().status();
    await kubectl("apply", "-f", `${cluster().examples}/online-store/03-ingress-hosts.yaml`);
    await eventually(async () => {
      expect((await get(`${urls.ingress}/`, "wear.my-online-store.com")).body).toBe("Welcome to the wear store\n");
      expect((await get(`${urls.ingress}/`, "watch.my-online-store.com")).body).toBe("Welcome to the watch store\n");
    });
  });

  it("V01 a Service's address is of the Services' range, the same on every node, and on no interface", async () => {
    const address = await kubectl("get", "svc", "-n", "app-space", "wear-service", "-o", "jsonpath={.spec.clusterIP}");
    expect(address).toMatch(/^10\.(9[6-9]|10\d|11[01])\.\d+\.\d+$/);
    for (const node of NODES) {
      expect((await cluster().sh(node, "ip addr")).stdout).not.toContain(address);
      await eventually(async () => {
        const { stdout } = await cluster().sh(node, `curl -s -m 3 http://${address}:8282/`);
        expect(stdout).toBe("Welcome to the wear store\n");
      });
    }
  });

  it("V03 Endpoints and EndpointSlices follow the selector", async () => {
    const inShop = (...args: string[]) => ["get", "-n", "app-space", ...args];
    await eventually(async () => {
      const slices = await json<{ items: { endpoints: { addresses: string[] }[] }[] }>(
        ...inShop("endpointslices", "-l", "kubernetes.io/service-name=wear-service"),
      );
      const pods = await json<{ items: { status: { podIP: string } }[] }>(...inShop("pods", "-l", "app=wear"));
      const expected = pods.items.map((p) => p.status.podIP).sort();
      expect(slices.items.flatMap((s) => s.endpoints.flatMap((e) => e.addresses)).sort()).toEqual(expected);
      const endpoints = await json<{ subsets: { addresses: { ip: string }[] }[] }>(
        ...inShop("endpoints", "wear-service"),
      );
      expect(endpoints.subsets.flatMap((s) => s.addresses.map((a) => a.ip)).sort()).toEqual(expected);
    });
  });

  it("X02 two DNS pods on the control plane behind 10.96.0.10, which the pods' resolv.conf names", async () => {
    expect(await inBox("cat /etc/resolv.conf")).toBe(
      "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n",
    );

    const pods = await json<{ items: { spec: { nodeName: string }; status: { phase: string } }[] }>(
      "get",
      "pods",
      "-n",
      "kube-system",
      "-l",
      "k8s-app=kube-dns",
    );
    expect(pods.items.map((p) => [p.spec.nodeName, p.status.phase])).toEqual([
      ["controlplane", "Running"],
      ["controlplane", "Running"],
    ]);
    expect(await kubectl("get", "svc", "-n", "kube-system", "kube-dns", "-o", "jsonpath={.spec.clusterIP}")).toBe(
      "10.96.0.10",
    );
  });

  it("L08 K03 a node shows its kubelet with its flags, its ports, its logs", async () => {
    const { stdout } = await cluster().sh(
      "node01",
      "ps aux; netstat -nplt; netstat -tulp; ls /var/log; cat /etc/cni/net.d/* /var/lib/kubelet/config.yaml; ls /opt/cni/bin",
    );
    expect(stdout).toMatch(/kubelet --config=\/var\/lib\/kubelet\/config\.yaml/);
    expect(stdout).toMatch(/^tcp\S* .*:10250 .*LISTEN +\d+\/kubelet *$/m);
    // Of this node alone: one kubelet, and nothing of the control plane.
    expect(stdout.match(/^.*\/kubelet --config=.*$/gm)).toHaveLength(1);
    expect(stdout).toContain("kubelet.log");
    expect(stdout).not.toContain("kube-apiserver");
    expect(stdout).toMatch(/^udp +\d+ +\d+ 0\.0\.0\.0:8472 /m);
    expect(stdout).toMatch(/^clusterDNS:\n- 10\.96\.0\.10$/m);
    const plane = await cluster().sh("controlplane", "ls /var/log; cat /etc/kubernetes/manifests/kube-apiserver.yaml");
    expect(plane.stdout).toContain("kube-apiserver.log");
    expect(plane.stdout).toMatch(/^ +- --service-cluster-ip-range=10\.96\.0\.0\/12$/m);
    expect(stdout).toContain('"type": "bridge"');
    expect(stdout).toContain("host-local");
    expect((await cluster().sh("controlplane", "arp node01")).stdout).toMatch(/node01\s.*ether\s+02:50:01/);
  });
}
