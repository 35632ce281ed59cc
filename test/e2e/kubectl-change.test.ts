import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { eventually } from "#test/support/firstLight.ts";
import { strictImages } from "#test/support/images/strict.ts";
import { lines, NS, playground } from "#test/support/playground.ts";

const { folder, k, suite } = playground();

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
    await eventually(async () =>
      expect(await k(`describe ing shop -n ${NS}`)).toMatch(
        /shop\.example *\n +\/wear +web:80 \(10\.244\.\d\.\d+:8080,10\.244\.\d\.\d+:8080\)/,
      ),
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
    await k(`rollout status deployment/web -n ${NS} --timeout=60s`);
    expect(lines(await k(`get pods -n ${NS} -l app=web -o name`))).toHaveLength(3);
    const image = () => k(`get deployment web -n ${NS} -o jsonpath={.spec.template.spec.containers[0].env}`);
    await k(`set env deployment/web -n ${NS} COLOR=red`);
    expect(await k(`rollout status deployment/web -n ${NS} --timeout=60s`)).toContain("successfully rolled out");
    expect(await image()).toContain("COLOR");
    expect(await k(`rollout history deployment/web -n ${NS}`)).toMatch(/REVISION +CHANGE-CAUSE\n1 +<none>\n2 +<none>/);
    expect(await k(`rollout undo deployment/web -n ${NS}`)).toBe("deployment.apps/web rolled back\n");
    await k(`rollout status deployment/web -n ${NS} --timeout=60s`);
    expect(await image()).toBe("");
    expect(await k(`rollout restart deployment/web -n ${NS}`)).toBe("deployment.apps/web restarted\n");
    await k(`rollout status deployment/web -n ${NS} --timeout=60s`);
    await k(`scale deployment web -n ${NS} --replicas=2`);
    await k(`wait deployment/web -n ${NS} --for=jsonpath={.status.replicas}=2 --timeout=60s`);
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
    const deleting = await suite.kubectl.watching(`wait --for=delete cm/kept -n ${NS} --timeout=60s`);
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
    await deleting.shows(/^configmap\/kept condition met$/m);
    await deleting.stop();
    expect(await suite.kubectl.fails(`get cm kept -n ${NS}`)).toContain("not found");
  });

  it("delete pod returns when its process has ended; its address is free again", async () => {
    await k(`run brief -n ${NS} --image=podwire/toolbox -- sleep infinity`);
    await k(`wait --for=condition=Ready pod/brief -n ${NS} --timeout=60s`);
    const address = await k(`get pod brief -n ${NS} -o jsonpath={.status.podIP}`);
    await k(`delete pod brief -n ${NS} --grace-period=1`);
    expect(await suite.kubectl.fails(`get pod brief -n ${NS}`)).toContain("not found");
    expect((await suite.kubectl.run(["exec", "-n", NS, "box", "--", "ping", "-c1", "-W1", address])).code).not.toBe(0);
  });

  it("deleting a namespace empties it", async () => {
    await k("create ns brief");
    await k("create deployment web -n brief --image=podwire/echo --replicas=2");
    await k("expose deployment web -n brief --port=80");
    await k("create cm conf -n brief");
    await k("rollout status deployment/web -n brief --timeout=60s");
    expect(await k("delete ns brief")).toContain('namespace "brief" deleted');
    expect(await suite.kubectl.fails("get ns brief")).toContain("not found");
    const left = await suite.kubectl.run("get all,cm,sa,endpointslices -n brief".split(" "));
    expect(left.stderr).toContain("No resources found in brief namespace.");
    expect(await suite.kubectl.fails("create cm conf -n brief")).toContain('namespaces "brief" not found');
  });

  it("what nothing acts on says so by an event", async () => {
    const claim = {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name: "idle", namespace: NS },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
    };
    await k("create -f -", JSON.stringify(claim));
    await eventually(async () =>
      expect((await suite.kubectl.events(NS, "idle")).join()).toContain(
        "NoController: no controller of this cluster acts on PersistentVolumeClaim objects yet: no volume is bound to it",
      ),
    );
  });

  it("run -it --rm --image=busybox looks around", async () => {
    // The nslookup of busybox itself leaves resolv.conf's search list out (since its 1.29), and asks for AAAA as well.
    const name = strictImages ? "-type=a kubernetes.default.svc.cluster.local" : "kubernetes.default";
    expect(await k(`run look -n ${NS} -i --rm --restart=Never --image=busybox:1.36 -- nslookup ${name}`)).toMatch(
      /10\.96\.0\.1\b/,
    );
  });
});
