import { execFile, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask } from "./testing/client.ts";
import { startTestServer, type TestServer } from "./testing/server.ts";

const kubectl = process.env.PODWIRE_TEST_KUBECTL ?? "kubectl";
const run = promisify(execFile);

let test: TestServer;

beforeAll(async () => {
  test = await startTestServer();
  const api = test.server.localTransport({ name: "admin", groups: ["system:masters"] });
  await ask(api, "POST", "/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "default" } });
  const node = {
    metadata: { name: "node01" },
    status: {
      addresses: [{ type: "InternalIP", address: "192.168.1.11" }],
      conditions: [{ type: "Ready", status: "True" }],
      nodeInfo: { kubeletVersion: "v1.36.0" },
    },
  };
  await ask(api, "POST", "/api/v1/nodes", node);
});
afterAll(() => test.stop());

/** Runs kubectl and returns what it printed on both outputs. */
async function k(command: string, input?: string): Promise<string> {
  const args = [...(command.match(/(?:[^\s']|'[^']*')+/g) ?? [])].map((a) => a.replace(/'/g, ""));
  const file = join(test.directory, "input.yaml");
  if (input !== undefined) writeFileSync(file, input);
  const full = [
    "--kubeconfig",
    test.kubeconfig,
    "--cache-dir",
    join(test.directory, "cache"),
    ...args.map((a) => (a === "FILE" ? file : a)),
  ];
  try {
    const { stdout, stderr } = await run(kubectl, full, { timeout: 60_000 });
    return stdout + stderr;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    return stdout + stderr;
  }
}

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: wear, labels: {app: wear}}
spec:
  replicas: 2
  selector: {matchLabels: {app: wear}}
  template:
    metadata: {labels: {app: wear}}
    spec:
      containers:
      - name: wear
        image: podwire/echo:1
        ports: [{containerPort: 8080}]
        env: [{name: A, value: b}]
---
apiVersion: v1
kind: Service
metadata: {name: wear}
spec: {selector: {app: wear}, type: NodePort, ports: [{port: 8282, targetPort: 8080}]}
`;

describe("U01 kubectl: a real kubectl against the server alone (part: without controllers and nodes)", {
  timeout: 60_000,
}, () => {
  it("get, get -o wide, describe", async () => {
    expect(await k("version")).toContain("Server Version: v1.36.0");
    expect(await k("get ns")).toMatch(/^NAME +STATUS +AGE\ndefault +Active +\d+s\n/);
    expect(await k("get nodes -o wide")).toMatch(
      /NAME +STATUS +ROLES +AGE +VERSION +INTERNAL-IP +EXTERNAL-IP +OS-IMAGE +KERNEL-VERSION +CONTAINER-RUNTIME\nnode01 +Ready +<none> +\d+s +v1.36.0 +192.168.1.11/,
    );
    expect(await k("get svc")).toMatch(/kubernetes +ClusterIP +10.96.0.1 +<none> +443\/TCP/);
    expect(await k("get pods")).toContain("No resources found in default namespace.");
    expect(await k("describe svc kubernetes")).toMatch(/Endpoints: +192.168.1.10:6443/);
    expect(await k("describe node node01")).toMatch(/InternalIP: +192.168.1.11/);
    expect(await k("get nothing")).toContain(`the server doesn't have a resource type "nothing"`);
    expect(await k("get pod nope")).toContain(`Error from server (NotFound): pods "nope" not found`);
  });

  it("apply, apply again, diff, apply a change, scale, server-side apply with a conflict", async () => {
    expect(await k("apply -f FILE", deployment)).toBe("deployment.apps/wear created\nservice/wear created\n");
    expect(await k("apply -f FILE", deployment)).toBe("deployment.apps/wear unchanged\nservice/wear unchanged\n");
    expect(await k("get deploy wear -o wide")).toMatch(/wear +0\/2 +0 +0 +\d+s +wear +podwire\/echo:1 +app=wear/);
    const changed = deployment
      .replace("replicas: 2", "replicas: 3")
      .replace("env: [{name: A, value: b}]", "env: [{name: C, value: d}]");
    expect(await k("diff -f FILE", changed)).toMatch(/- {2}replicas: 2\n\+ {2}replicas: 3/);
    expect(await k("apply -f FILE", changed)).toContain("deployment.apps/wear configured");
    expect(await k("get deploy wear -o jsonpath={.spec.template.spec.containers[0].env}")).toBe(
      `[{"name":"C","value":"d"}]`,
    );
    expect(await k("scale deploy wear --replicas=5")).toBe("deployment.apps/wear scaled\n");
    const conflict = await k("apply --server-side -f FILE", changed);
    expect(conflict).toMatch(
      /Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps\/v1: \.spec\.replicas/,
    );
    expect(await k("apply --server-side --force-conflicts -f FILE", changed)).toContain(
      "deployment.apps/wear serverside-applied",
    );
    expect(await k("get deploy wear -o jsonpath={.spec.replicas}")).toBe("3");
  });

  it("refuses unknown fields, and says what is invalid", async () => {
    const bad = "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 80, foo: 1}]}\n";
    expect(await k("apply -f FILE", bad)).toContain(
      `Service in version "v1" cannot be handled as a Service: strict decoding error: unknown field "spec.ports[0].foo"`,
    );
    const ingress =
      "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i}\nspec: {rules: [{http: {paths: [{path: /, backend: {service: {name: s, port: {number: 80}}}}]}}]}\n";
    expect(await k("apply -f FILE", ingress)).toContain(
      `The Ingress "i" is invalid: spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified`,
    );
    expect(await k("create -f FILE --validate=warn", bad)).toMatch(
      /Warning: unknown field "spec.ports\[0\].foo"\nservice\/bad created|service\/bad created\nWarning/,
    );
  });

  it("create: ns, cm, secret, sa, role, rolebinding, clusterrole, deployment, ingress, job, cronjob, pdb, quota, priorityclass", async () => {
    expect(await k("create ns space")).toBe("namespace/space created\n");
    expect(await k("create ns space")).toContain(`namespaces "space" already exists`);
    expect(await k("create cm conf --from-literal=a=b")).toBe("configmap/conf created\n");
    expect(await k("create secret generic s --from-literal=a=b")).toBe("secret/s created\n");
    expect(await k("create sa bob")).toBe("serviceaccount/bob created\n");
    expect(await k("create role r --verb=get,list --resource=pods")).toBe("role.rbac.authorization.k8s.io/r created\n");
    expect(await k("create rolebinding rb --role=r --serviceaccount=default:bob")).toBe(
      "rolebinding.rbac.authorization.k8s.io/rb created\n",
    );
    expect(await k("create clusterrole cr --verb=get --resource=nodes")).toBe(
      "clusterrole.rbac.authorization.k8s.io/cr created\n",
    );
    expect(await k("create clusterrolebinding crb --clusterrole=cr --user=eve")).toContain("crb created");
    expect(await k("create deployment web --image=nginx --replicas=0")).toBe("deployment.apps/web created\n");
    expect(await k("get deploy web -o jsonpath={.spec.replicas}")).toBe("0");
    expect(
      await k(`create ingress ing --rule=a.example.com/wear*=wear:8282 --rule=b.example.com/=wear:http --class=nginx`),
    ).toBe("ingress.networking.k8s.io/ing created\n");
    expect(await k("get ing")).toMatch(/ing +nginx +a.example.com,b.example.com +80 /);
    expect(await k("describe ing ing")).toMatch(/\/wear +wear:8282/);
    expect(await k("create job j --image=busybox -- sleep 1")).toBe("job.batch/j created\n");
    expect(await k(`create cronjob cj --image=busybox --schedule='* * * * *' -- date`)).toBe(
      "cronjob.batch/cj created\n",
    );
    expect(await k("create pdb p --selector=app=wear --min-available=1")).toContain("p created");
    expect(await k("create quota q --hard=pods=2")).toBe("resourcequota/q created\n");
    expect(await k("create priorityclass high --value=1000")).toContain("high created");
    expect(await k("run pod1 --image=nginx")).toBe("pod/pod1 created\n");
    expect(await k("get pods -o wide")).toMatch(/pod1 +0\/1 +Pending +0 +\d+s +<none> +<none> +<none> +<none>/);
    expect(await k("describe pod pod1")).toMatch(/Service Account: +default/);
  });

  it("expose, label, annotate, set image, patch, edit's replace, taint, cordon, rollout history, delete", async () => {
    expect(await k("expose deploy wear --name=e --port=80 --dry-run=client -o yaml")).toContain("targetPort: 80");
    expect(await k("expose deploy wear --name=e --port=80 --target-port=8080 --type=NodePort")).toBe(
      "service/e exposed\n",
    );
    expect(await k("label cm conf x=y")).toBe("configmap/conf labeled\n");
    expect(await k("get cm -l x=y -o name")).toBe("configmap/conf\n");
    expect(await k("get cm -l x!=y -o name")).not.toContain("conf");
    expect(await k("annotate cm conf a=b")).toBe("configmap/conf annotated\n");
    expect(await k("set image deploy/wear wear=nginx:1")).toBe("deployment.apps/wear image updated\n");
    expect(await k(`patch svc wear -p {"spec":{"sessionAffinity":"ClientIP"}}`)).toBe("service/wear patched\n");
    expect(await k("get svc wear -o jsonpath={.spec.sessionAffinityConfig.clientIP.timeoutSeconds}")).toBe("10800");
    expect(
      await k(`patch svc wear --type=json -p [{"op":"replace","path":"/spec/sessionAffinity","value":"None"}]`),
    ).toBe("service/wear patched\n");
    expect(await k("taint node node01 k=v:NoSchedule")).toBe("node/node01 tainted\n");
    expect(await k("cordon node01")).toBe("node/node01 cordoned\n");
    expect(await k("get node node01")).toContain("Ready,SchedulingDisabled");
    expect(await k("uncordon node01")).toBe("node/node01 uncordoned\n");
    expect(await k("get all")).toMatch(/service\/wear.*deployment.apps\/wear.*job.batch\/j/s);
    expect(await k("delete svc e")).toMatch(/^service "e" deleted/);
    expect(await k("delete pod pod1 --now")).toContain(`pod "pod1" deleted`);
    expect(await k("delete cm -l x=y")).toContain(`configmap "conf" deleted`);
    expect(await k("delete deploy nope")).toContain(`deployments.apps "nope" not found`);
  });

  it("explain, api-resources, api-versions, auth can-i, auth whoami, create token", async () => {
    expect(await k("explain pod.spec.containers.ports")).toMatch(/FIELD: ports <\[\]ContainerPort>/);
    expect(await k("explain ingress.spec.rules")).toMatch(/KIND: +Ingress/);
    expect(await k("api-resources --namespaced=false -o name")).toContain("nodes\n");
    expect(await k("api-resources")).toMatch(/deployments +deploy +apps\/v1 +true +Deployment/);
    expect(await k("api-versions")).toContain("networking.k8s.io/v1\n");
    expect(await k("auth can-i get pods --as=system:serviceaccount:default:bob")).toBe("yes\n");
    expect(await k("auth can-i delete pods --as=system:serviceaccount:default:bob")).toMatch(/^no\n/);
    expect(await k("auth whoami")).toMatch(/Username +kubernetes-admin/);
    expect(await k("get secrets --as=system:serviceaccount:default:bob")).toContain(
      'Error from server (Forbidden): secrets is forbidden: User "system:serviceaccount:default:bob" cannot list resource "secrets" in API group "" in the namespace "default"',
    );
    const token = (await k("create token bob")).trim();
    expect(token.split(".")).toHaveLength(3);
    expect(await k(`auth whoami --token=${token} --client-certificate=/dev/null --client-key=/dev/null`)).toBeTruthy();
  });

  it("get -w prints rows as they change, wait returns", async () => {
    const args = [
      "--kubeconfig",
      test.kubeconfig,
      "--cache-dir",
      join(test.directory, "cache"),
      "get",
      "cm",
      "-w",
      "--no-headers",
    ];
    const child = spawn(kubectl, args, { stdio: ["ignore", "pipe", "pipe"] });
    let printed = "";
    const until = (pattern: RegExp) =>
      new Promise<void>((resolve) => {
        const look = () => pattern.test(printed) && resolve();
        child.stdout.on("data", look);
        look();
      });
    child.stdout.on("data", (chunk: Buffer) => {
      printed += chunk.toString();
    });
    await k("create cm watched1 --from-literal=a=b");
    await until(/watched1 +1 /);
    await k("create cm watched2 --from-literal=a=b --from-literal=c=d");
    await until(/watched2 +2 /);
    child.kill();
    expect(await k("wait cm/watched2 --for=jsonpath={.data.a}=b --timeout=10s")).toContain(
      "configmap/watched2 condition met",
    );
  });
});
