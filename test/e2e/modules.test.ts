import { describe, expect, it } from "vitest";
import type { ProxyFacts } from "#services/index.ts";
import { eventually } from "#test/support/firstLight.ts";
import { NS, playground } from "#test/support/playground.ts";

const { k, suite } = playground();

describe("U01 V04 L08 a node's modules as pods of kube-system (part: kubectl get, logs, exec, delete)", () => {
  interface Shown {
    readonly metadata: { readonly name: string; readonly uid: string };
    readonly spec: { readonly nodeName: string; readonly hostNetwork?: boolean };
    readonly status: { readonly podIP: string; readonly containerStatuses: readonly object[] };
  }
  const pods = async (selector: string): Promise<Shown[]> =>
    (await suite.kubectl.json<{ items: Shown[] }>(`get pods -n kube-system -l ${selector}`)).items;
  /** Name of the pod with this label on a node. */
  const podOn = async (selector: string, node: string): Promise<string> =>
    (await pods(selector)).find(({ spec }) => spec.nodeName === node)?.metadata.name ?? "";

  it("kube-proxy and flannel on every node, the control plane's parts on its own, all running", async () => {
    await eventually(async () => {
      const text = await k("get pods -n kube-system -o wide");
      for (const [node, address] of [
        ["controlplane", "192.168.1.10"],
        ["node01", "192.168.1.11"],
        ["node02", "192.168.1.12"],
      ])
        for (const name of ["kube-proxy", "kube-flannel-ds"])
          expect(text).toMatch(
            new RegExp(
              `^${name}-[a-z0-9]{5} +1/1 +Running +0 +\\S+ +${address?.replaceAll(".", "\\.")} +${node} `,
              "m",
            ),
          );
      for (const name of ["kube-apiserver", "kube-controller-manager", "kube-scheduler"])
        expect(text).toMatch(
          new RegExp(`^${name}-controlplane +1/1 +Running +0 +\\S+ +192\\.168\\.1\\.10 +controlplane `, "m"),
        );
      expect(text).not.toContain("etcd");
    });
    const shown = [...(await pods("k8s-app=kube-proxy")), ...(await pods("tier=control-plane"))];
    expect(shown).toHaveLength(6);
    expect(shown.every(({ spec }) => spec.hostNetwork)).toBe(true);
    expect(await k("describe pod -n kube-system -l component=kube-scheduler")).toMatch(
      /podwire\.dev\/process: kube-apiserver[\s\S]*Controlled By: +Node\/controlplane/,
    );
  });

  it("logs are the modules' own, whole, by their end and followed", async () => {
    const proxy = await podOn("k8s-app=kube-proxy", "node01");
    const log = await k(`logs ${proxy} -n kube-system`);
    expect(log).toMatch(/^I\d{4} \S+ kube-proxy\] "Using nftables Proxier" proxyMode="nftables"$/m);
    expect(log).toContain("Services are in the kernel");
    // Syncs go on being logged.
    expect(log).toMatch(/"SyncProxyRules complete" elapsed="\S+s" services=\d+/);
    expect((await suite.cluster.sh("node01", "cat /var/log/kube-proxy.log")).stdout.slice(0, log.length)).toBe(log);
    expect(await k(`logs ${proxy} -n kube-system --tail=1 --timestamps`)).toMatch(/^\d{4}-\d\d-\d\dT\S+Z I\d{4} .*\n$/);
    expect(await k(`logs -n kube-system ${await podOn("app=flannel", "node02")}`)).toContain("part of the pod network");
    expect(await k("logs -n kube-system kube-apiserver-controlplane")).toContain('"Serving"');
    expect(await k("logs -n kube-system kube-controller-manager-controlplane")).toContain("Controllers are running");
    expect(await k("logs -n kube-system kube-scheduler-controlplane")).toContain("The scheduler is running");
    const follow = suite.kubectl.follow(`logs -f ${proxy} -n kube-system --tail=1`);
    await follow.shows(/\n/);
    await suite.cluster.sh("node01", "echo 'I0101 00:00:00.000000 x] \"added\"' >> /var/log/kube-proxy.log");
    await follow.shows(/"added"/);
    await follow.stop();
    expect(await suite.kubectl.fails(`logs ${proxy} -n kube-system --previous`)).toContain("not found");
  });

  it("exec says that there is nothing to enter", async () => {
    const proxy = await podOn("k8s-app=kube-proxy", "node01");
    expect(await suite.kubectl.fails(`exec -n kube-system ${proxy} -- ls`)).toContain(
      `pod ${proxy} shows a module of the process kubelet on this node: there is no container to enter`,
    );
  });

  it.each([
    ["kube-proxy, which starts anew", "k8s-app=kube-proxy", "was started anew"],
    ["kube-flannel, which goes on", "app=flannel", "goes on: deleting the pod does not restart it"],
  ])("a deleted pod comes back and says so: %s", async (_, selector, words) => {
    const name = await podOn(selector, "node02");
    const pod = () => suite.kubectl.json<Shown>(`get pod -n kube-system ${name}`);
    const starts = async () => (await k(`logs -n kube-system ${name}`)).split("Using nftables Proxier").length;
    const [before, startsBefore] = [await pod(), await starts()];
    await k(`delete pod -n kube-system ${name}`);
    await eventually(async () => expect((await pod()).metadata.uid).not.toBe(before.metadata.uid));
    await k(`wait --for=condition=Ready pod/${name} -n kube-system --timeout=10s`);
    await eventually(async () =>
      expect((await suite.kubectl.events("kube-system", name)).join()).toMatch(
        new RegExp(`MirrorPodRecreated: .*process kubelet on node02, which ${words}`),
      ),
    );
    expect(await starts()).toBe(startsBefore + (words.startsWith("was") ? 1 : 0));
    const [container] = (await pod()).status.containerStatuses;
    expect(container).toMatchObject({ restartCount: 0, ready: true });
  });

  it("V06 K02 kube-proxy goes by its ConfigMap: what is edited takes effect at once (part: kubectl replace)", async () => {
    interface ConfigMap {
      readonly data: Readonly<Record<string, string>>;
    }
    const before = await suite.kubectl.json<ConfigMap>("get configmap kube-proxy -n kube-system");
    const text = before.data["config.conf"] ?? "";
    expect(text).toContain("clusterCIDR: 10.244.0.0/16\n");
    const edit = async (config: string) => {
      const { data, ...rest } = await suite.kubectl.json<ConfigMap>("get configmap kube-proxy -n kube-system");
      await k("replace -f -", JSON.stringify({ ...rest, data: { ...data, "config.conf": config } }));
    };
    const curl = async (node: string, url: string) =>
      (await suite.cluster.sh(node, `curl -s -m 5 http://${url}`)).stdout;
    const log = async () => (await suite.cluster.sh("node01", "cat /var/log/kube-proxy.log")).stdout;
    expect(JSON.parse(await curl("node02", "192.168.1.11:10256/healthz"))).toMatchObject({ nodeEligible: true });
    expect(await curl("node01", "127.0.0.1:10249/proxyMode")).toBe("nftables");
    expect(await curl("node02", "192.168.1.11:10249/proxyMode")).toBe("");
    await edit(text.replace('metricsBindAddress: ""', "metricsBindAddress: 0.0.0.0:10249"));
    await eventually(async () => expect(await curl("node02", "192.168.1.11:10249/proxyMode")).toBe("nftables"));
    expect(await log()).toContain("configuration was updated: starting anew");
    // What is wrong changes nothing, and is said.
    await edit(`${text}mood: good\n`);
    await eventually(async () =>
      expect(await log()).toMatch(/no effect" err="configmap kube-system\/kube-proxy config\.conf:\d+: unknown field/),
    );
    expect(await curl("node02", "192.168.1.11:10249/metrics")).toContain("kubeproxy_sync_proxy_rules_duration_seconds");
    await edit(text);
    await eventually(async () => expect(await curl("node02", "192.168.1.11:10249/proxyMode")).toBe(""));
  });

  it("V04 V05 another mode takes over, and the former's rules go (part: iptables, userspace in the ConfigMap)", async () => {
    const set = async (mode: string) => {
      const map = await suite.kubectl.json<{ data: Record<string, string> }>("get configmap kube-proxy -n kube-system");
      const config = map.data["config.conf"]?.replace(/^mode: .*$/m, `mode: ${mode}`);
      await k("replace -f -", JSON.stringify({ ...map, data: { ...map.data, "config.conf": config } }));
    };
    const run = async (script: string) => (await suite.cluster.sh("node01", script)).stdout;
    const answers = () => run("curl -sk -m 5 https://10.96.0.1/version");
    const tables = () => run("nft list tables");
    expect(await tables()).toContain("podwire-services");
    // A lab's nodes are in a user namespace, where there is no IPVS: what was there goes on.
    await set("ipvs");
    await eventually(async () =>
      expect(await run("cat /var/log/kube-proxy.log")).toMatch(/no effect" err="can't use the IPVS proxier: /),
    );
    expect(await tables()).toContain("podwire-services");
    expect(await answers()).toContain('"gitVersion"');
    const explained = await suite.cluster.podwire("services", "explain", "--node", "node01", "kubernetes");
    expect(explained.stderr).toContain("goes on in the mode nftables");
    await set("iptables");
    await eventually(async () => {
      expect(await run("cat /var/log/kube-proxy.log")).toContain('"Using iptables Proxier" proxyMode="iptables"');
      expect(await tables()).not.toContain("podwire-services");
    });
    expect(await run("iptables -L -t nat | grep kubernetes:https")).toMatch(/KUBE-SVC-\S+ .*default\/kubernetes:https/);
    expect(await answers()).toContain('"gitVersion"');
    // There NodePorts answer at every address of the node, which explain asks the node for.
    await k("create service nodeport hello --tcp=80 --node-port=30999");
    const facts = JSON.parse(await k("get --raw /api/v1/nodes/node01/proxy/podwire/service-proxy")) as ProxyFacts;
    const { addresses } = facts;
    expect(addresses).toContain("192.168.1.11");
    const bridge = addresses.find((address) => address.startsWith("10.244.") && address.endsWith(".1"));
    const { stdout } = await suite.cluster.podwire("services", "explain", `${bridge}:30999`);
    expect(stdout).toMatch(/^Service default\/hello on node01, mode iptables\n/);
    await k("delete service hello");
    await set("userspace");
    await eventually(async () => {
      expect(await run("cat /var/log/kube-proxy.log")).toContain('"Using userspace Proxier" proxyMode="userspace"');
      expect(await run("iptables-save -t nat")).not.toContain("KUBE-S");
    });
    expect(await tables()).toContain("podwire-userspace");
    expect(await answers()).toContain('"gitVersion"');
    await set('""');
    await eventually(async () => {
      expect(await tables()).toContain("podwire-services");
      expect(await tables()).not.toContain("podwire-userspace");
    });
    expect(await answers()).toContain('"gitVersion"');
  });

  it("V02 every type of Service is reached as it promises: ClusterIP, NodePort on every node, LoadBalancer, headless, ExternalName", async () => {
    const expose = (name: string, flags: string) =>
      k(`expose deployment web -n ${NS} --name=${name} --port=80 --target-port=8080 ${flags}`);
    await expose("inside", "--type=ClusterIP");
    await expose("everywhere", "--type=NodePort");
    await expose("balanced", "--type=LoadBalancer");
    await expose("headless", "--cluster-ip=None");
    await k(`create service externalname elsewhere -n ${NS} --external-name=inside.${NS}.svc.cluster.local`);
    // Who has load balancers writes their addresses here; until then there is none.
    expect(await k(`get service balanced -n ${NS} --no-headers`)).toContain("<pending>");
    const status = { status: { loadBalancer: { ingress: [{ ip: "198.51.100.7" }] } } };
    await k(`patch service balanced -n ${NS} --subresource=status --type=merge -p ${JSON.stringify(status)}`);
    const curl = "curl -s -m 5 -o /dev/null -w %{http_code}";
    const fromPod = (url: string) => suite.kubectl.run(`exec box -n ${NS} -- ${curl} ${url}`.split(" "));
    const fromMachine = (machine: string, url: string) => suite.cluster.sh(machine, `${curl} ${url}`);
    const answers = (ask: () => Promise<{ readonly stdout: string }>) =>
      eventually(async () => expect((await ask()).stdout).toBe("200"));
    for (const url of ["http://inside", "http://elsewhere", "http://headless:8080", "http://198.51.100.7"])
      await answers(() => fromPod(url));
    await answers(() => fromMachine("node01", "http://198.51.100.7"));
    const port = Number(await k(`get service everywhere -n ${NS} -o jsonpath={.spec.ports[0].nodePort}`));
    expect([port >= 30_000, port <= 32_767]).toEqual([true, true]);
    for (const node of ["192.168.1.10", "192.168.1.11", "192.168.1.12"])
      await answers(() => fromMachine("router", `http://${node}:${port}`));
    const { items } = await suite.kubectl.json<{ items: Shown[] }>(`get pods -n ${NS} -l app=web`);
    const names = await k(`exec box -n ${NS} -- nslookup headless.${NS}.svc.cluster.local`);
    for (const { status } of items) expect(names).toContain(status.podIP);
    expect(items).toHaveLength(2);
    await k(`delete service -n ${NS} inside everywhere balanced headless elsewhere`);
  });

  it("podwire check counts none of them", async () => {
    const { stdout, code } = await suite.cluster.podwire("check");
    expect(code).toBe(0);
    // Two DNS pods, the ingress controller, and this suite's own three.
    const running = (await suite.kubectl.json<{ items: Shown[] }>("get pods -A --field-selector=status.phase=Running"))
      .items;
    const own = running.filter(({ spec }) => !spec.hostNetwork).length;
    expect(running.length).toBeGreaterThanOrEqual(own + 9);
    expect(stdout).toContain(`(${own} pods)`);
  });
});

describe("X04 the coredns ConfigMap is edited and takes effect, and the pod's /etc/coredns/Corefile shows it", () => {
  it("by kubectl edit and replace; a wrong Corefile changes nothing and is said", async () => {
    interface ConfigMap {
      readonly data: { readonly Corefile: string };
    }
    const read = () => suite.kubectl.json<ConfigMap>("get configmap coredns -n kube-system");
    const replace = async (Corefile: string) =>
      await k("replace -f -", JSON.stringify({ ...(await read()), data: { Corefile } }));
    const inServer = () => k("exec -n kube-system deployment/coredns -- cat /etc/coredns/Corefile");
    const log = () => k("logs -n kube-system -l k8s-app=kube-dns --tail=-1");
    const asked = () => k(`exec box -n ${NS} -- dig +short edited.example`);
    const before = (await read()).data.Corefile;
    const hosts = (address: string) => `    hosts {\n        ${address} edited.example\n        fallthrough\n    }\n`;
    const edited = (address: string) => before.replace("    cache 30\n", `    cache 30\n${hosts(address)}`);
    // kubectl edit, with an editor that types the same as a person.
    const editor = `sed -i 's/^    \\( *\\)cache 30$/&\\n    \\1hosts {\\n    \\1    192.0.2.77 edited.example\\n    \\1    fallthrough\\n    \\1}/'`;
    await suite.kubectl.run(["edit", "configmap", "coredns", "-n", "kube-system"], { env: { KUBE_EDITOR: editor } });
    expect((await read()).data.Corefile).toContain("192.0.2.77 edited.example\n");
    await eventually(async () => expect(await asked()).toBe("192.0.2.77\n"));
    expect(await inServer()).toContain("192.0.2.77 edited.example\n");
    expect(await log()).toContain("Reloading complete");
    // What is wrong is seen in the pod, and named in the log with its line; the old one goes on.
    await replace(edited("192.0.2.78").replace("    loop\n", "    loup\n"));
    await eventually(async () =>
      expect(await log()).toMatch(/Corefile changed but is not used.*Corefile:\d+: Unknown directive 'loup'/),
    );
    expect(await inServer()).toContain("    loup\n");
    expect(await asked()).toBe("192.0.2.77\n");
    await replace(edited("192.0.2.79"));
    await eventually(async () => expect(await asked()).toBe("192.0.2.79\n"));
    await replace(before);
    await eventually(async () => expect(await asked()).toBe(""));
  });
});
