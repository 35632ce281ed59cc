import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "#test/support/firstLight.ts";
import { Kubectl } from "#test/support/kubectl.ts";
import { clusterSuite } from "#test/support/suite.ts";

const suite = clusterSuite(["--example", "none"]);
const k = (command: string, input?: string): Promise<string> => suite.kubectl.ok(command, input);
const lines = (text: string): string[] => text.trimEnd().split("\n");

/** A namespace of its own, with a shell's pod and a Deployment in it. */
const NS = "play";
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "pw-kubectl-"));
  await k(`create ns ${NS}`);
  await k(`run box -n ${NS} --image=podwire/toolbox -- sleep infinity`);
  await k(`create deployment web -n ${NS} --image=podwire/echo --port=8080 --replicas=2`);
  await k(`wait --for=condition=Ready pod/box -n ${NS} --timeout=30s`);
  await k(`rollout status deployment/web -n ${NS} --timeout=30s`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

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
    const pod = await k(`describe pod box -n ${NS}`);
    expect(pod).toMatch(/^Events:\n(?:.*\n)* {2}Normal +Scheduled .*Successfully assigned play\/box to node0\d$/m);
    expect(pod).toMatch(/^ {2}Normal +Started .*kubelet +.*Started container box$/m);
    await eventually(async () =>
      expect(await k(`describe svc seen -n ${NS}`)).toMatch(/^Endpoints: +10\.\S+:8080,10\.\S+:8080$/m),
    );
    expect(await k(`describe deployment web -n ${NS}`)).toMatch(
      /^Replicas: +2 desired \| 2 updated \| 2 total \| 2 available \| 0 unavailable$/m,
    );
    await k(`delete svc seen -n ${NS}`);
  });

  it("get events, by object too", async () => {
    expect(await k(`get events -n ${NS}`)).toMatch(/^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n/);
    expect(await k(`events -n ${NS} --for pod/box`)).toMatch(/Normal +Started +Pod\/box +Started container box/);
    expect((await suite.kubectl.events(NS, "box"))[0]).toMatch(/^Scheduled: Successfully assigned/);
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

  it("top says that there are no metrics", async () => {
    expect(await suite.kubectl.fails("top nodes")).toContain("Metrics API not available");
    expect(await suite.kubectl.fails("top pods")).toContain("Metrics API not available");
  });

  it("auth whoami and can-i", async () => {
    expect(await k("auth whoami")).toMatch(/^Username +kubernetes-admin$/m);
    expect(await k("auth can-i create deployments")).toBe("yes\n");
    expect(await k("auth can-i --list")).toMatch(/^\*\.\* +\[\] +\[\] +\[\*\]$/m);
  });
});

describe("U01 kubectl create, apply, change, delete (part: what changes)", () => {
  it("create cm, sa, role, rolebinding, secret: and the rights work", async () => {
    expect(await k(`create cm conf -n ${NS} --from-literal=a=1`)).toBe("configmap/conf created\n");
    expect(await k(`create secret generic hidden -n ${NS} --from-literal=key=value`)).toBe("secret/hidden created\n");
    expect(await k(`create sa robot -n ${NS}`)).toBe("serviceaccount/robot created\n");
    expect(await k(`create role reader -n ${NS} --verb=get,list --resource=pods`)).toBe(
      "role.rbac.authorization.k8s.io/reader created\n",
    );
    expect(await k(`create rolebinding robot-reads -n ${NS} --role=reader --serviceaccount=${NS}:robot`)).toContain(
      "created",
    );
    const robot = `--as system:serviceaccount:${NS}:robot`;
    expect(await k(`auth can-i list pods -n ${NS} ${robot}`)).toBe("yes\n");
    expect((await suite.kubectl.run(`auth can-i delete pods -n ${NS} ${robot}`.split(" "))).stdout).toBe("no\n");
    expect(await suite.kubectl.fails(`delete pod box -n ${NS} ${robot}`)).toContain(
      `Error from server (Forbidden): pods "box" is forbidden: User "system:serviceaccount:${NS}:robot" cannot delete resource "pods" in API group "" in the namespace "${NS}"`,
    );
    const token = (await k(`create token robot -n ${NS}`)).trim();
    expect(await k(`get pods -n ${NS} -o name --token=${token} --client-certificate= --client-key=`)).toContain(
      "pod/box",
    );
    expect(await suite.kubectl.fails(`create cm conf -n ${NS}`)).toBe(
      'error: failed to create configmap: configmaps "conf" already exists\n',
    );
  });

  it("create ingress --rule, shown by get and describe", async () => {
    await k(`expose deployment web -n ${NS} --port=80 --target-port=8080`);
    await k(`create ingress shop -n ${NS} --class=nginx --rule=shop.example/wear*=web:80 --rule=/watch=web:80`);
    await eventually(async () =>
      expect(await k(`get ing -n ${NS} -o wide`)).toMatch(
        /^NAME +CLASS +HOSTS +ADDRESS +PORTS +AGE\nshop +nginx +shop\.example +192\.168\.1\.1\d +80 +\S+\n$/,
      ),
    );
    expect(await k(`describe ing shop -n ${NS}`)).toMatch(
      /shop\.example *\n +\/wear +web:80 \(10\.244\.\d\.\d+:8080,10\.244\.\d\.\d+:8080\)/,
    );
    const { spec } = await suite.kubectl.json<{ spec: { rules: { http: { paths: { pathType: string }[] } }[] } }>(
      `get ing shop -n ${NS}`,
    );
    expect(spec.rules.map((rule) => rule.http.paths[0]?.pathType)).toEqual(["Prefix", "Exact"]);
    await k(`delete ing/shop svc/web -n ${NS}`);
  });

  it("apply, diff, apply again: changed, unchanged, pruned fields; unknown fields refused", async () => {
    const manifest = (color: string, more = "") =>
      `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: applied, namespace: ${NS} }\ndata: { color: ${color} ${more} }\n`;
    const file = join(folder, "cm.yaml");
    writeFileSync(file, manifest("red", ", size: L"));
    expect(await k(`apply -f ${file}`)).toBe("configmap/applied created\n");
    expect(await k(`apply -f ${file}`)).toBe("configmap/applied unchanged\n");
    writeFileSync(file, manifest("blue"));
    const diff = await suite.kubectl.run(["diff", "-f", file]);
    expect(diff.code).toBe(1);
    expect(diff.stdout).toMatch(/^- {2}color: red$/m);
    expect(diff.stdout).toMatch(/^\+ {2}color: blue$/m);
    expect(await k(`apply -f ${file}`)).toBe("configmap/applied configured\n");
    expect(await k(`get cm applied -n ${NS} -o jsonpath={.data}`)).toBe('{"color":"blue"}');
    expect(await k(`apply --server-side --force-conflicts -f ${file}`)).toBe("configmap/applied serverside-applied\n");
    const wrong = `${manifest("red").replace("applied", "wrong")}colour: x\n`;
    expect(await suite.kubectl.fails("apply -f -", wrong)).toBe(
      'Error from server (BadRequest): error when creating "STDIN": ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "colour"\n',
    );
    expect(await k(`delete -f ${file}`)).toContain('configmap "applied" deleted');
  });

  it("label, annotate, patch, edit, replace", async () => {
    expect(await k(`label pod box -n ${NS} color=red`)).toBe("pod/box labeled\n");
    expect(await suite.kubectl.fails(`label pod box -n ${NS} color=blue`)).toContain(
      "'color' already has a value (red), and --overwrite is false",
    );
    expect(await k(`label pod box -n ${NS} color-`)).toBe("pod/box unlabeled\n");
    expect(await k(`annotate pod box -n ${NS} note=x`)).toBe("pod/box annotated\n");
    await k(`create cm edited -n ${NS} --from-literal=word=two`);
    const { stdout } = await suite.kubectl.run(["edit", "cm", "edited", "-n", NS], {
      env: { EDITOR: "sed -i s/two/three/" },
    });
    expect(stdout).toBe("configmap/edited edited\n");
    expect(await k(`get cm edited -n ${NS} -o jsonpath={.data.word}`)).toBe("three");
    const yaml = (await k(`get cm edited -n ${NS} -o yaml`)).replace("three", "four");
    expect(await k("replace -f -", yaml)).toBe("configmap/edited replaced\n");
    expect(await suite.kubectl.fails("replace -f -", yaml)).toContain(
      "the object has been modified; please apply your changes to the latest version",
    );
    await k(`delete cm edited -n ${NS}`);
  });

  it("scale, rollout status, restart, history, undo", async () => {
    expect(await k(`scale deployment web -n ${NS} --replicas=3`)).toBe("deployment.apps/web scaled\n");
    await k(`rollout status deployment/web -n ${NS} --timeout=30s`);
    expect(lines(await k(`get pods -n ${NS} -l app=web -o name`))).toHaveLength(3);
    const image = () => k(`get deployment web -n ${NS} -o jsonpath={.spec.template.spec.containers[0].env}`);
    await k(`set env deployment/web -n ${NS} COLOR=red`);
    expect(await k(`rollout status deployment/web -n ${NS} --timeout=30s`)).toContain("successfully rolled out");
    expect(await image()).toContain("COLOR");
    expect(await k(`rollout history deployment/web -n ${NS}`)).toMatch(/REVISION +CHANGE-CAUSE\n1 +<none>\n2 +<none>/);
    expect(await k(`rollout undo deployment/web -n ${NS}`)).toBe("deployment.apps/web rolled back\n");
    await k(`rollout status deployment/web -n ${NS} --timeout=30s`);
    expect(await image()).toBe("");
    expect(await k(`rollout restart deployment/web -n ${NS}`)).toBe("deployment.apps/web restarted\n");
    await k(`rollout status deployment/web -n ${NS} --timeout=30s`);
    await k(`scale deployment web -n ${NS} --replicas=2`);
    await k(`wait deployment/web -n ${NS} --for=jsonpath={.status.replicas}=2 --timeout=30s`);
  });

  it("G04 expose --dry-run=client -o yaml prints the Service and makes none", async () => {
    const yaml = await k(
      `expose deployment -n ${NS} web --type=NodePort --port=80 --name=shown --dry-run=client -o yaml`,
    );
    expect(yaml).toBe(
      [
        "apiVersion: v1",
        "kind: Service",
        "metadata:",
        "  labels:",
        "    app: web",
        "  name: shown",
        `  namespace: ${NS}`,
        "spec:",
        "  ports:",
        "  - port: 80",
        "    protocol: TCP",
        "    targetPort: 80",
        "  selector:",
        "    app: web",
        "  type: NodePort",
        "status:",
        "  loadBalancer: {}",
        "",
      ].join("\n"),
    );
    expect(await suite.kubectl.fails(`get svc shown -n ${NS}`)).toContain("not found");
    expect(await k("create -f -", yaml)).toBe("service/shown created\n");
    expect(Number(await k(`get svc shown -n ${NS} -o jsonpath={.spec.ports[0].nodePort}`))).toBeGreaterThanOrEqual(
      30000,
    );
    await k(`delete svc shown -n ${NS}`);
  });

  it("delete waits for finalizers; wait --for=delete returns when it is gone", async () => {
    const object = `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: kept, namespace: ${NS}, finalizers: [example.com/keep] }\n`;
    await k("create -f -", object);
    expect(await suite.kubectl.fails(`delete cm kept -n ${NS} --timeout=1s`)).toContain(
      "timed out waiting for the condition",
    );
    expect(await k(`get cm kept -n ${NS} -o jsonpath={.metadata.deletionTimestamp}`)).toMatch(/^\d{4}-/);
    const deleting = k(`wait --for=delete cm/kept -n ${NS} --timeout=10s`);
    await suite.kubectl.okWords([
      "patch",
      "cm",
      "kept",
      "-n",
      NS,
      "--type=merge",
      "-p",
      '{"metadata":{"finalizers":null}}',
    ]);
    expect(await deleting).toBe("configmap/kept condition met\n");
    expect(await suite.kubectl.fails(`get cm kept -n ${NS}`)).toContain("not found");
  });

  it("delete pod returns when its process has ended; its address is free again", async () => {
    await k(`run brief -n ${NS} --image=podwire/toolbox -- sleep infinity`);
    await k(`wait --for=condition=Ready pod/brief -n ${NS} --timeout=30s`);
    const address = await k(`get pod brief -n ${NS} -o jsonpath={.status.podIP}`);
    await k(`delete pod brief -n ${NS}`);
    expect(await suite.kubectl.fails(`get pod brief -n ${NS}`)).toContain("not found");
    expect((await suite.kubectl.run(["exec", "-n", NS, "box", "--", "ping", "-c1", "-W1", address])).code).not.toBe(0);
  });

  it("deleting a namespace empties it", async () => {
    await k("create ns brief");
    await k("create deployment web -n brief --image=podwire/echo --replicas=2");
    await k("expose deployment web -n brief --port=80");
    await k("create cm conf -n brief");
    await k("rollout status deployment/web -n brief --timeout=30s");
    expect(await k("delete ns brief")).toContain('namespace "brief" deleted');
    expect(await suite.kubectl.fails("get ns brief")).toContain("not found");
    const left = await suite.kubectl.run("get all,cm,sa,endpointslices -n brief".split(" "));
    expect(left.stderr).toContain("No resources found in brief namespace.");
    expect(await suite.kubectl.fails("create cm conf -n brief")).toContain('namespaces "brief" not found');
  });
});

describe("U01 kubectl logs (part: logs)", () => {
  const chatter = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.1; done";
  it("whole, --tail, --timestamps, -f, -l, of a Deployment", async () => {
    await suite.kubectl.okWords([
      "run",
      "talker",
      "-n",
      NS,
      "--image=podwire/toolbox",
      "--labels=talks=yes",
      "--",
      "sh",
      "-c",
      chatter,
    ]);
    await k(`wait --for=condition=Ready pod/talker -n ${NS} --timeout=30s`);
    await eventually(async () => expect(await k(`logs talker -n ${NS}`)).toMatch(/^line 1\nline 2\nline 3\n/));
    expect(lines(await k(`logs talker -n ${NS} --tail=2`))).toHaveLength(2);
    expect(await k(`logs talker -n ${NS} --tail=1 --timestamps`)).toMatch(/^\d{4}-\d\d-\d\dT\S+Z line \d+\n$/);
    expect(await k(`logs -n ${NS} -l talks=yes --tail=1 --prefix`)).toMatch(/^\[pod\/talker\/talker\] line \d+\n$/);
    const follow = suite.kubectl.follow(`logs -f talker -n ${NS} --tail=1`);
    await follow.shows(/^line \d+\nline \d+\nline \d+\n/);
    await k(`delete pod talker -n ${NS} --grace-period=1`);
    await eventually(async () => expect(await suite.kubectl.fails(`logs talker -n ${NS}`)).toContain("not found"));
    await follow.stop();
  });

  it("--previous shows the container before the restart", async () => {
    const script =
      "if [ -e /data/again ]; then echo second life; sleep infinity; fi; touch /data/again; echo first life; exit 3";
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "twice", namespace: NS },
      spec: {
        volumes: [{ name: "data", emptyDir: {} }],
        containers: [
          {
            name: "main",
            image: "podwire/toolbox",
            command: ["sh", "-c", script],
            volumeMounts: [{ name: "data", mountPath: "/data" }],
          },
        ],
      },
    };
    await k("create -f -", JSON.stringify(pod));
    await eventually(async () => expect(await k(`logs twice -n ${NS}`)).toBe("second life\n"), 30_000);
    expect(await k(`logs twice -n ${NS} --previous`)).toBe("first life\n");
    expect(await k(`get pod twice -n ${NS}`)).toMatch(/^twice +1\/1 +Running +1 /m);
    expect(await suite.kubectl.fails(`logs box -n ${NS} --previous`)).toContain(
      'previous terminated container "box" in pod "box" not found',
    );
    await k(`delete pod twice -n ${NS} --grace-period=1`);
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

describe("U01 V04 L08 a node's modules as pods of kube-system (part: kubectl get, logs, exec, delete)", () => {
  interface Shown {
    readonly metadata: { readonly name: string; readonly uid: string };
    readonly spec: { readonly nodeName: string; readonly hostNetwork?: boolean };
    readonly status: { readonly podIP: string };
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
    expect((await suite.cluster.sh("node01", "cat /var/log/kube-proxy.log")).stdout).toBe(log);
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

  it("a deleted one comes back, and says that the module goes on", async () => {
    const proxy = await podOn("k8s-app=kube-proxy", "node02");
    const uid = async () => (await suite.kubectl.json<Shown>(`get pod -n kube-system ${proxy}`)).metadata.uid;
    const before = await uid();
    await k(`delete pod -n kube-system ${proxy}`);
    await eventually(async () => expect(await uid()).not.toBe(before));
    await k(`wait --for=condition=Ready pod/${proxy} -n kube-system --timeout=10s`);
    await eventually(async () =>
      expect((await suite.kubectl.events("kube-system", proxy)).join()).toMatch(
        /MirrorPodRecreated: .*process kubelet on node02, which goes on/,
      ),
    );
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

describe("U02 kubectl exec", () => {
  it("output, errors, exit code and standard input without a terminal", async () => {
    const result = await suite.kubectl.run([
      "exec",
      "-n",
      NS,
      "box",
      "--",
      "sh",
      "-c",
      "echo out; echo err >&2; exit 7",
    ]);
    expect(result).toEqual({ code: 7, stdout: "out\n", stderr: "err\ncommand terminated with exit code 7\n" });
    expect(await k(`exec -i -n ${NS} box -- cat`, "hello\n")).toBe("hello\n");
    expect(await suite.kubectl.inPod(NS, "box", "tty || true")).toBe("not a tty\n");
    expect(await suite.kubectl.fails(`exec -n ${NS} box -- no-such-program`)).toContain("no-such-program");
  });

  it("a megabyte through standard input and back", async () => {
    const data = "0123456789abcdef".repeat(65536);
    expect((await k(`exec -i -n ${NS} box -- cat`, data)).length).toBe(data.length);
  });

  it("exec -it sh, then ip route, cat /etc/resolv.conf, nslookup, curl, as in the notes", async () => {
    await k(`expose deployment web -n ${NS} --port=80 --target-port=8080`);
    const typed = "ip route\ncat /etc/resolv.conf\nnslookup web\ncurl -s web\nexit\n";
    const { stdout } = await suite.kubectl.terminal(`kubectl exec -it -n ${NS} box -- sh`, typed);
    expect(stdout).toMatch(/default via 10\.244\.\d\.1 dev eth0/);
    expect(stdout).toMatch(/nameserver 10\.96\.0\.10/);
    expect(stdout).toMatch(/Name:\s+web\.play\.svc\.cluster\.local/);
    expect(stdout).toMatch(/"pod": "web-/);
    await k(`delete svc web -n ${NS}`);
  });

  it("exec -it has a terminal which follows the size of ours", async () => {
    const inside = "tty; stty size; sleep 2; stty size";
    const { stdout } = await suite.kubectl.terminal(
      `stty cols 101 rows 31; (sleep 1; stty cols 77 rows 22 </dev/tty) & kubectl exec -it -n ${NS} box -- sh -c '${inside}'`,
    );
    expect(stdout).toMatch(/\/dev\/pts\/\d+\r\n31 101\r\n22 77\r\n/);
  });

  it("cp to a pod and back", async () => {
    const file = join(folder, "sent");
    writeFileSync(file, "some text\n");
    await k(`cp ${file} ${NS}/box:/tmp/sent`);
    expect(await suite.kubectl.inPod(NS, "box", "cat /tmp/sent")).toBe("some text\n");
    await k(`cp ${NS}/box:/tmp/sent ${file}.back`);
    expect(readFileSync(`${file}.back`, "utf8")).toBe("some text\n");
  });

  it("run -it --rm gives a shell and removes the pod", async () => {
    const { stdout } = await suite.kubectl.terminal(
      `kubectl run once -n ${NS} --image=podwire/toolbox -it --rm --restart=Never -- sh -c 'sleep 1; echo done'`,
    );
    expect(stdout).toContain("done\r\n");
    expect(await suite.kubectl.fails(`get pod once -n ${NS}`)).toContain("not found");
  });
});

describe.runIf(existsSync("/usr/bin/kubectl") || existsSync("/usr/local/bin/kubectl"))(
  "U01 the machine's own kubectl (part: another version)",
  () => {
    it("get, create, exec, logs, delete", async () => {
      const own = ["/usr/bin/kubectl", "/usr/local/bin/kubectl"].find((path) => existsSync(path)) ?? "kubectl";
      const kubectl = new Kubectl((await suite.cluster.status()).kubeconfig, folder, own);
      expect(await kubectl.ok("get nodes")).toMatch(/^node01 +Ready/m);
      await kubectl.ok(`create deployment own -n ${NS} --image=podwire/echo`);
      await kubectl.ok(`rollout status deployment/own -n ${NS} --timeout=30s`);
      expect(await kubectl.ok(`exec -n ${NS} box -- hostname`)).toBe("box\n");
      await kubectl.ok(`logs -n ${NS} deployment/own`);
      expect(await kubectl.ok(`describe deployment own -n ${NS}`)).toContain("1 available");
      await kubectl.ok(`delete deployment own -n ${NS}`);
    });
  },
);
