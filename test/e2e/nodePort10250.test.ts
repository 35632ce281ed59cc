import { describe, expect, it } from "vitest";
import { eventually } from "#test/support/firstLight.ts";
import { lines, NS, playground } from "#test/support/playground.ts";

const { k, suite } = playground();

interface Node {
  readonly metadata: { readonly name: string };
  readonly status: { readonly addresses: readonly { readonly type: string; readonly address: string }[] };
}

/** The node where pod `box` is, and its address. */
async function boxNode(): Promise<{ name: string; address: string }> {
  const name = await k(`get pod box -n ${NS} -o jsonpath={.spec.nodeName}`);
  const node = await suite.kubectl.json<Node>(`get node ${name}`);
  return { name, address: node.status.addresses.find(({ type }) => type === "InternalIP")?.address ?? "" };
}

describe("the kubelet's port 10250 (part: who may use it)", () => {
  const curl = (address: string, path: string, more = "") =>
    `curl -sk -m 10 -w ' %{http_code}' ${more} https://${address}:10250${path}`;

  it("nobody without a name: from a pod, from a node", async () => {
    const { name, address } = await boxNode();
    const paths = ["/pods", "/healthz", "/metrics", "/stats/summary", `/containerLogs/${NS}/box/box`];
    for (const path of paths)
      expect(await suite.kubectl.inPod(NS, "box", curl(address, path))).toBe("Unauthorized\n 401");
    const { stdout } = await suite.cluster.podwire("exec", name, "--", "sh", "-c", curl("127.0.0.1", "/pods"));
    expect(stdout).toBe("Unauthorized\n 401");
    const run = curl(address, `/run/${NS}/box/box?cmd=id`, "-X POST");
    expect(await suite.kubectl.inPod(NS, "box", run)).toBe("Unauthorized\n 401");
    const wrong = curl(address, "/pods", "-H 'Authorization: Bearer wrong'");
    expect(await suite.kubectl.inPod(NS, "box", wrong)).toBe("Unauthorized\n 401");
  });

  it("a pod's own token opens what RBAC grants, and no more", async () => {
    const { name, address } = await boxNode();
    const token = '-H "Authorization: Bearer $(cat /var/run/secrets/kubernetes.io/serviceaccount/token)"';
    expect(await suite.kubectl.inPod(NS, "box", curl(address, "/metrics/resource", token))).toBe(
      `Forbidden (user=system:serviceaccount:${NS}:default, verb=get, resource=nodes, subresource(s)=[metrics]) on node ${name}\n 403`,
    );
    await k(`create clusterrole scraper --verb=get --resource=nodes/stats`);
    await k(`create clusterrolebinding scraper --clusterrole=scraper --serviceaccount=${NS}:default`);
    // Asked for the first time: no answer is remembered.
    const summary = await suite.kubectl.inPod(NS, "box", curl(address, "/stats/summary", token));
    expect(summary).toMatch(/^\{"node":\{"nodeName":.* 200$/s);
    expect(await suite.kubectl.inPod(NS, "box", curl(address, "/pods", token))).toContain(
      "subresource(s)=[pods proxy]) on node",
    );
    await k("delete clusterrole,clusterrolebinding scraper");
  });

  it("another certificate of the cluster's: a node's opens nothing of another's", async () => {
    const { address } = await boxNode();
    const script = `sed -n 's/.*client-certificate-data: //p' /etc/kubernetes/kubelet.conf | base64 -d > /tmp/c.crt; sed -n 's/.*client-key-data: //p' /etc/kubernetes/kubelet.conf | base64 -d > /tmp/c.key; test -s /tmp/c.crt && ${curl(address, "/pods", "-E /tmp/c.crt --key /tmp/c.key")}`;
    const answer = await suite.cluster.podwire("exec", "controlplane", "--", "sh", "-c", script);
    expect(answer.stdout).toMatch(/^Forbidden \(user=system:node:controlplane, verb=get, resource=nodes, .* 403$/s);
  });
});

describe("U01 kubectl top (part: nodes and pods)", () => {
  it("nodes, with what part of them is used", async () => {
    const shown = lines(await k("top nodes"));
    expect(shown[0]).toMatch(/^NAME +CPU\(cores\) +CPU\(%\) +MEMORY\(bytes\) +MEMORY\(%\) *$/);
    for (const line of shown.slice(1)) expect(line).toMatch(/^\S+ +\d+m +\d+% +\d+Mi +\d+% *$/);
    expect(shown).toHaveLength(lines(await k("get nodes --no-headers")).length + 1);
    expect(lines(await k("top node node01 --no-headers"))).toHaveLength(1);
    expect(await suite.kubectl.fails("top node none")).toContain('nodes "none" not found');
  });

  it("pods: who works most comes first, sums, containers, labels", async () => {
    await suite.kubectl.okWords([
      "run",
      "worker",
      "-n",
      NS,
      "--image=podwire/toolbox",
      "--labels=work=hard",
      "--",
      "sh",
      "-c",
      "while :; do :; done",
    ]);
    await k(`wait --for=condition=Ready pod/worker -n ${NS} --timeout=60s`);
    await eventually(async () => {
      const shown = lines(await k(`top pods -n ${NS} --sort-by=cpu --no-headers`));
      expect(shown[0]).toMatch(/^worker +[1-9]\d{1,3}m +\d+Mi/);
    });
    expect(await k(`top pods -n ${NS} -l work=hard --no-headers`)).toMatch(/^worker +\d+m +\d+Mi *\n$/);
    expect(await k(`top pods -n ${NS} --containers`)).toMatch(
      /^POD +NAME +CPU\(cores\) +MEMORY\(bytes\)[\s\S]*^box +box +\d+m/m,
    );
    expect(await k("top pods -A --sum")).toMatch(/^NAMESPACE +NAME [\s\S]*\n +_+ +_+ +\n +\d+m +\d+Mi *\n$/);
    expect(await suite.kubectl.fails(`top pod none -n ${NS}`)).toContain(`pods "${NS}/none" not found`);
    expect(await suite.kubectl.run(["top", "pods", "-n", "default"])).toMatchObject({
      stderr: "No resources found in default namespace.\n",
    });
    await k(`delete pod worker -n ${NS} --grace-period=1`);
  });

  it("as discovery and get --raw show it", async () => {
    expect(await k("api-resources --api-group=metrics.k8s.io --no-headers")).toMatch(
      /^nodes +metrics\.k8s\.io\/v1beta1 +false +NodeMetrics\npods +metrics\.k8s\.io\/v1beta1 +true +PodMetrics\n$/,
    );
    const one = JSON.parse(await k(`get --raw /apis/metrics.k8s.io/v1beta1/namespaces/${NS}/pods/box`));
    expect(one).toMatchObject({
      kind: "PodMetrics",
      apiVersion: "metrics.k8s.io/v1beta1",
      metadata: { name: "box", namespace: NS, labels: { run: "box" } },
      window: expect.stringMatching(/^\d+(\.\d+)?s$/),
      containers: [{ name: "box", usage: { memory: expect.stringMatching(/^\d+Ki$/) } }],
    });
  });
});

describe("U01 kubectl get --raw, kubectl proxy (part: to pods, Services and nodes of a cluster)", () => {
  it("a Service, by its port's number, over kubectl proxy too", async () => {
    await k(`expose deployment web -n ${NS} --port=80 --target-port=8080`);
    await eventually(async () =>
      expect(await k(`get --raw /api/v1/namespaces/${NS}/services/web:80/proxy/`)).toContain('"pod": "web-'),
    );
    const proxy = suite.kubectl.follow("proxy --port=0");
    const listens = /Starting to serve on 127\.0\.0\.1:(\d+)/;
    await proxy.shows(listens);
    const port = listens.exec(proxy.output)?.[1];
    const answer = await fetch(
      `http://127.0.0.1:${port}/api/v1/namespaces/${NS}/services/http:web:80/proxy/some/path?x=1`,
    );
    expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining('"pod": "web-')]);
    await proxy.stop();
    await k(`delete svc web -n ${NS}`);
    expect(await suite.kubectl.fails(`get --raw /api/v1/namespaces/${NS}/services/web/proxy/`)).toContain("not found");
  });

  it("a Service without endpoints, a pod that does not answer", async () => {
    await k(`create service clusterip empty -n ${NS} --tcp=80:80`);
    expect(await suite.kubectl.fails(`get --raw /api/v1/namespaces/${NS}/services/empty/proxy/`)).toBe(
      'Error from server (ServiceUnavailable): no endpoints available for service "empty"\n',
    );
    const ip = await k(`get pod box -n ${NS} -o jsonpath={.status.podIP}`);
    expect(await suite.kubectl.fails(`get --raw /api/v1/namespaces/${NS}/pods/box:81/proxy/`)).toBe(
      `Error from server (ServiceUnavailable): error trying to reach service: dial tcp ${ip}:81: connect: connection refused\n`,
    );
    await k(`delete svc empty -n ${NS}`);
  });

  it("a node's agent", async () => {
    expect(await k("get --raw /api/v1/nodes/node01/proxy/healthz")).toBe("ok");
    expect(await k("get --raw /api/v1/nodes/node01:10250/proxy/metrics/resource")).toContain(
      "\nnode_cpu_usage_seconds_total ",
    );
    expect(JSON.parse(await k("get --raw /api/v1/nodes/node01/proxy/pods"))).toMatchObject({ kind: "PodList" });
  });
});
