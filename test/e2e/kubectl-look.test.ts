import { beforeAll, describe, expect, it } from "vitest";
import { eventually } from "#test/support/firstLight.ts";
import { lines, NS, playground } from "#test/support/playground.ts";
import { capturing, digAnswer, muslProgram, questionsOf } from "#test/support/podLookups.ts";

const { k, suite, folder } = playground();

describe("K01 kubectl shows nodes and their facts", () => {
  it("get nodes -o wide: own address, hostname, MAC", async () => {
    const rows = lines(await k("get nodes -o wide --no-headers")).map((row) => row.split(/\s{2,}/));
    expect(
      rows.map(([name, status, role, , version, address, outside]) => [name, status, role, version, address, outside]),
    ).toEqual([
      ["controlplane", "Ready", "control-plane", "v1.36.0", "192.168.1.10", "<none>"],
      ["node01", "Ready", "<none>", "v1.36.0", "192.168.1.11", "<none>"],
      ["node02", "Ready", "<none>", "v1.36.0", "192.168.1.12", "<none>"],
    ]);
    for (const [name = "", , , , , address] of rows) {
      const { stdout } = await suite.cluster.sh(
        name,
        "hostname; ip -o -4 addr show eth0; cat /sys/class/net/eth0/address",
      );
      expect(stdout).toMatch(new RegExp(`^${name}\\n.* ${address}/24 .*\\n02:50:`, "s"));
    }
  });

  it("describe node: addresses, conditions, subnet, the pods that run there", async () => {
    const text = await k("describe node node01");
    for (const expected of [
      /^Name: +node01$/m,
      /^ {2}InternalIP: +192\.168\.1\.11$/m,
      /^ {2}Hostname: +node01$/m,
      /^ {2}Ready +True .* KubeletReady +kubelet is posting ready status$/m,
      /^PodCIDR: +10\.244\.1\.0\/24$/m,
      /^Non-terminated Pods:/m,
      /^ {2}HolderIdentity: +node01$/m,
    ])
      expect(text).toMatch(expected);
  });
});

describe("U01 kubectl get and describe (part: what looks)", () => {
  it("get pods -o wide, -A, -L, -l, --sort-by, names and custom columns", async () => {
    expect(await k(`get pods -n ${NS} -o wide`)).toMatch(
      /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES\nbox +1\/1 +Running +0 +\S+ +10\.244\.\d\.\d+ +node0\d +<none> +<none>\n/,
    );
    expect(await k("get pods -A")).toMatch(/^kube-system +coredns-\S+ +1\/1 +Running/m);
    expect(lines(await k(`get pods -n ${NS} -l app=web -o name`))).toHaveLength(2);
    expect(await k(`get pods -n ${NS} -L run`)).toMatch(/^NAME.* RUN\nbox .* box$/m);
    expect(await k(`get pods -n ${NS} --sort-by=.metadata.name --no-headers`)).toMatch(/^box /);
    expect(await k(`get pod box -n ${NS} -o custom-columns=NAME:.metadata.name,NODE:.spec.nodeName`)).toMatch(
      /^NAME +NODE\nbox +node0\d\n$/,
    );
    expect(await k(`get pod box -n ${NS} -o jsonpath={.status.podIP}`)).toMatch(/^10\.244\.\d\.\d+$/);
    expect(await k(`get pod box -n ${NS} -o yaml`)).toMatch(/^apiVersion: v1\nkind: Pod\nmetadata:\n/);
    expect(await k(`get pod box -n ${NS} -o go-template={{.metadata.name}}`)).toBe("box");
    expect(await suite.kubectl.fails("get pod absent")).toBe('Error from server (NotFound): pods "absent" not found\n');
    expect(await suite.kubectl.fails("get unicorns")).toContain(`the server doesn't have a resource type "unicorns"`);
  });

  it("get all lists pods, Services, Deployments and ReplicaSets", async () => {
    await k(`expose deployment web -n ${NS} --name=all --port=80 --target-port=8080`);
    const text = await k(`get all -n ${NS}`);
    for (const kind of ["pod/box", "service/all", "deployment.apps/web", "replicaset.apps/web-"])
      expect(text).toContain(kind);
    expect(await k(`get svc -n ${NS} -o wide`)).toMatch(
      /^NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE +SELECTOR\nall +ClusterIP +10\.\d+\.\d+\.\d+ +<none> +80\/TCP +\S+ +app=web\n$/,
    );
    await k(`delete svc all -n ${NS}`);
  });

  it("describe pod, service and deployment with their events", async () => {
    await k(`expose deployment web -n ${NS} --name=seen --port=80 --target-port=8080`);
    // Events are written beside the work that they tell of.
    await eventually(async () => {
      const pod = await k(`describe pod box -n ${NS}`);
      expect(pod).toMatch(/^Events:\n(?:.*\n)* {2}Normal +Scheduled .*Successfully assigned play\/box to node0\d$/m);
      expect(pod).toMatch(/^ {2}Normal +Started .*kubelet +.*Container started$/m);
    });
    await eventually(async () =>
      expect(await k(`describe svc seen -n ${NS}`)).toMatch(/^Endpoints: +10\.\S+:8080,10\.\S+:8080$/m),
    );
    expect(await k(`describe deployment web -n ${NS}`)).toMatch(
      /^Replicas: +2 desired \| 2 updated \| 2 total \| 2 available \| 0 unavailable$/m,
    );
    await k(`delete svc seen -n ${NS}`);
  });

  it("get events, by object too", async () => {
    await eventually(async () => {
      expect(await k(`get events -n ${NS}`)).toMatch(/^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n/);
      expect(await k(`events -n ${NS} --for pod/box`)).toMatch(/Normal +Started +Pod\/box +Container started/);
      expect(await suite.kubectl.events(NS, "box")).toContainEqual(
        expect.stringMatching(/^Scheduled: Successfully assigned/),
      );
    });
  });

  it("get -w prints each change as it happens", async () => {
    const watch = suite.kubectl.follow(`get cm -n ${NS} -w`);
    await watch.shows(/kube-root-ca\.crt/);
    await k(`create cm seen -n ${NS} --from-literal=a=1`);
    await watch.shows(/^seen +1 +\d+s$/m);
    await suite.kubectl.okWords(["patch", "cm", "seen", "-n", NS, "-p", '{"data":{"b":"2"}}']);
    await watch.shows(/^seen +2 +\d+s$/m);
    await watch.stop();
    const pods = suite.kubectl.follow(`get pods -n ${NS} -w --output-watch-events`);
    await pods.shows(/ADDED +box /);
    await k(`run short -n ${NS} --image=podwire/toolbox --restart=Never -- true`);
    await pods.shows(/ADDED +short +0\/1 +Pending(?:.*\n)*MODIFIED +short +0\/1 +Completed/);
    await k(`delete pod short -n ${NS}`);
    await pods.shows(/DELETED +short/);
    await pods.stop();
    await k(`delete cm seen -n ${NS}`);
  });

  it("api-resources, api-versions, explain, version, cluster-info", async () => {
    const resources = await k("api-resources");
    expect(resources).toMatch(/^ingresses +ing +networking\.k8s\.io\/v1 +true +Ingress$/m);
    expect(resources).toMatch(/^services +svc +v1 +true +Service$/m);
    expect(lines(await k("api-versions"))).toEqual(expect.arrayContaining(["apps/v1", "networking.k8s.io/v1", "v1"]));
    expect(await k("explain ingress.spec.rules.http.paths")).toMatch(/^ {2}pathType\t<string> -required-$/m);
    expect(await k("version")).toContain("Server Version: v1.36.0");
    expect(await k("cluster-info")).toMatch(
      /Kubernetes control plane.* is running at .*https:\/\/127\.\d+\.\d+\.1:6443/,
    );
  });

  it("auth whoami and can-i", async () => {
    expect(await k("auth whoami")).toMatch(/^Username +kubernetes-admin$/m);
    expect(await k("auth can-i create deployments")).toBe("yes\n");
    expect(await k("auth can-i --list")).toMatch(/^\*\.\* +\[\] +\[\] +\[\*\]$/m);
  });
});

describe("U01 X02 X04 the notes' commands on the cluster's DNS (part: looking at it)", () => {
  it("get cm, describe cm, logs, exec cat", async () => {
    expect(await k("get configmap -n kube-system")).toMatch(/^coredns +1 +\S+$/m);
    expect(await k("get cm coredns -n kube-system")).toMatch(/^NAME +DATA +AGE\ncoredns +1 /);
    const shown = await k("describe cm coredns -n kube-system");
    expect(shown).toMatch(/^Corefile:\n----\n\.:53 \{\n {4}errors\n/m);
    expect(await k("get svc -n kube-system")).toMatch(
      /^kube-dns +ClusterIP +10\.96\.0\.10 +<none> +53\/UDP,53\/TCP,9153\/TCP /m,
    );
    expect(await k("logs -n kube-system -l k8s-app=kube-dns")).toContain("Serving .:53");
    const file = await k("exec -n kube-system deployment/coredns -- cat /etc/coredns/Corefile");
    expect(shown).toContain(file.trimEnd());
  });
});

/** A Service with a named port, a headless one with a named pod behind it, and one that is an alias. */
const NAMES = `
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: shop}, spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}}
- {apiVersion: v1, kind: Service, metadata: {name: pets}, spec: {clusterIP: None, selector: {app: pets}, ports: [{name: http, port: 8080}]}}
- {apiVersion: v1, kind: Service, metadata: {name: away}, spec: {type: ExternalName, externalName: shop.${NS}.svc.cluster.local}}
- apiVersion: v1
  kind: Pod
  metadata: {name: rex, labels: {app: pets}}
  spec: {hostname: rex, subdomain: pets, containers: [{name: c, image: podwire/echo}]}
`;

describe("X01 D02 D05 names in a pod, by the distribution's tools", () => {
  const inBox = (script: string) => suite.kubectl.inPod(NS, "box", script);
  const found: { shop: string; rex: string } = { shop: "", rex: "" };
  beforeAll(async () => {
    await k(`apply -n ${NS} -f -`, NAMES);
    await k(`wait --for=condition=Ready pod/rex -n ${NS} --timeout=60s`);
    found.shop = await k(`get service shop -n ${NS} -o jsonpath={.spec.clusterIP}`);
    found.rex = await k(`get pod rex -n ${NS} -o jsonpath={.status.podIP}`);
    // Endpoints follow a pod that is ready.
    await eventually(async () =>
      expect(await inBox(`dig +short rex.pets.${NS}.svc.cluster.local`)).toContain(found.rex),
    );
  });

  it("every record of DNS-based service discovery, as dig has it", async () => {
    const { shop, rex } = found;
    const svc = `${NS}.svc.cluster.local`;
    const expected: Readonly<Record<string, readonly string[]>> = {
      [`shop.${svc} A`]: ["NOERROR", shop],
      [`shop.${svc} AAAA`]: ["NOERROR"],
      [`_http._tcp.shop.${svc} SRV`]: ["NOERROR", `0 100 80 shop.${svc}.`],
      [`-x ${shop}`]: ["NOERROR", `shop.${svc}.`],
      [`pets.${svc} A`]: ["NOERROR", rex],
      [`rex.pets.${svc} A`]: ["NOERROR", rex],
      [`_http._tcp.pets.${svc} SRV`]: ["NOERROR", `0 100 8080 rex.pets.${svc}.`],
      [`-x ${rex}`]: ["NOERROR", `rex.pets.${svc}.`],
      [`away.${svc} A`]: ["NOERROR", shop, `shop.${svc}.`],
      [`10-244-2-5.${NS}.pod.cluster.local A`]: ["NOERROR", "10.244.2.5"],
      ["dns-version.cluster.local TXT"]: ["NOERROR", '"1.1.0"'],
      [`${svc} A`]: ["NOERROR"],
      [`nowhere.${svc} A`]: ["NXDOMAIN"],
      [`_nope._tcp.shop.${svc} SRV`]: ["NXDOMAIN"],
    };
    const questions = Object.keys(expected);
    const text = await inBox(questions.map((one) => `dig +noall +comments +answer ${one}; echo ====`).join("\n"));
    const answers = text.split("====\n").slice(0, -1).map(digAnswer);
    expect(Object.fromEntries(questions.map((one, index) => [one, answers[index]]))).toEqual(expected);
  });

  it("short names by the search list: nslookup, host, getent, curl", async () => {
    for (const name of ["shop", `shop.${NS}`, `shop.${NS}.svc`])
      expect(await inBox(`nslookup ${name}; host ${name}; getent hosts ${name}`)).toMatch(
        new RegExp(
          `Address: ${found.shop}\\n[\\s\\S]*shop\\.${NS}\\.svc\\.cluster\\.local has address ${found.shop}\\n[\\s\\S]*^${found.shop} +shop\\.`,
          "m",
        ),
      );
    expect(await inBox("curl -s -m 5 shop")).toContain('"pod": "web-');
  });

  it("nslookup, dig and host ignore /etc/hosts; ping, getent and the explainer do not", async () => {
    const name = `shop.${NS}.svc.cluster.local`;
    await inBox(`echo 10.96.0.99 ${name} >> /etc/hosts`);
    try {
      expect(await inBox(`getent hosts ${name}`)).toMatch(/^10\.96\.0\.99 /);
      expect(await inBox(`ping -c1 -W1 ${name} || true`)).toContain(`PING ${name} (10.96.0.99)`);
      for (const tool of ["nslookup", "dig +short", "host"]) {
        const said = await inBox(`${tool} ${name}`);
        expect(said).toContain(found.shop);
        expect(said).not.toContain("10.96.0.99");
      }
      const { stdout } = await suite.cluster.podwire("dns", "explain", name, "--from", `${NS}/box`);
      expect(stdout).toMatch(
        /^before DNS +files +10\.96\.0\.99 +\/etc\/hosts has it\n\nresult +10\.96\.0\.99, from files$/m,
      );
    } finally {
      await inBox(`sed '/10.96.0.99/d' /etc/hosts > /tmp/hosts; cat /tmp/hosts > /etc/hosts`);
    }
  });

  it("glibc, musl, nslookup, host and dig send what `podwire dns explain` lists", async ({ skip }) => {
    const musl = muslProgram(folder);
    skip(musl === undefined, "no musl-gcc on this machine: lookups by musl in a pod");
    await k(`cp ${musl} ${NS}/box:/tmp/musl`);
    const none = `nowhere.${NS}.svc.cluster.local`;
    const lookups = [
      ["glibc", "getent ahosts", "shop"],
      ["glibc", "getent ahosts", none],
      ["musl", "/tmp/musl", "shop"],
      ["musl", "/tmp/musl", none],
      ["nslookup", "nslookup", `away.${NS}`],
      ["host", "host", none],
      ["dig", "dig", `shop.${NS}.svc.cluster.local`],
    ] as const;
    const seen = questionsOf(await inBox(capturing(lookups.map(([, command, name]) => `${command} ${name}`))));
    interface Explained {
      readonly lookup: { readonly queries: readonly { name: string; type: string; times: number }[] };
    }
    const explained = await Promise.all(
      lookups.map(async ([tool, , name]) => {
        const words = ["dns", "explain", name, "--from", `${NS}/box`, "--resolver", tool, "--json"];
        const { lookup } = JSON.parse((await suite.cluster.podwire(...words)).stdout) as Explained;
        return lookup.queries.map(({ type, name: full, times }) => `${type} ${full}${times === 1 ? "" : ` x${times}`}`);
      }),
    );
    expect(seen).toEqual(explained);
    expect(seen.map((list) => list.length)).toEqual([2, 8, 2, 8, 3, 4, 1]);
  });
});
