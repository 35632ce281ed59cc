import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask } from "./testing/client.ts";
import { type KubectlRun, kubectlFor } from "./testing/kubectl.ts";
import { signingRequest } from "./testing/samples/extensions.ts";
import { startTestServer, type TestServer } from "./testing/server.ts";

let test: TestServer;
let k: KubectlRun;

beforeAll(async () => {
  test = await startTestServer();
  k = kubectlFor(test);
  const api = test.server.localTransport({ name: "admin", groups: ["system:masters"] });
  await ask(api, "POST", "/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "default" } });
});
afterAll(() => test.stop());

const request = (name: string) => `
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: ${name}}
spec:
  request: ${signingRequest}
  signerName: kubernetes.io/kube-apiserver-client
  expirationSeconds: 86400
  usages: [client auth]
`;

describe("U01 kubectl: kinds that are stored and shown (part: a real kubectl, no controllers)", {
  timeout: 60_000,
}, () => {
  it("certificate approve and deny, with upstream's columns and one decision only", async () => {
    await k("apply -f FILE", request("jane"));
    await k("apply -f FILE", request("joe"));
    expect(await k("get csr jane")).toMatch(
      /^NAME +AGE +SIGNERNAME +REQUESTOR +REQUESTEDDURATION +CONDITION\njane +\d+s +kubernetes.io\/kube-apiserver-client +kubernetes-admin +24h +Pending\n$/,
    );
    expect(await k("certificate approve jane")).toBe("certificatesigningrequest.certificates.k8s.io/jane approved\n");
    expect(await k("certificate deny joe")).toBe("certificatesigningrequest.certificates.k8s.io/joe denied\n");
    expect(await k("get csr jane --no-headers")).toMatch(/Approved\n$/);
    expect(await k("get csr joe --no-headers")).toMatch(/Denied\n$/);
    expect(await k("get csr jane -o jsonpath={.status.conditions[0].reason}")).toBe("KubectlApprove");
    expect(await k("get csr jane -o jsonpath={.spec.groups}")).toBe(`["system:masters","system:authenticated"]`);
    const path = "/apis/certificates.k8s.io/v1/certificatesigningrequests/joe";
    const api = test.server.localTransport({ name: "admin", groups: ["system:masters"] });
    const joe = (await ask(api, "GET", path)).body as unknown as { status: { conditions: object[] } };
    const both = {
      ...joe,
      status: { conditions: [...joe.status.conditions, { type: "Approved", status: "True", reason: "x" }] },
    };
    expect((await ask(api, "PUT", `${path}/approval`, both)).body.message).toContain(
      'status.conditions[1].type: Invalid value: "Approved": Approved and Denied conditions are mutually exclusive',
    );
    expect((await ask(api, "PUT", `${path}/approval`, { ...joe, status: {} })).body.message).toContain(
      'status.conditions: Forbidden: updates may not remove a condition of type "Denied"',
    );
    expect(await k("describe csr jane")).toMatch(/Status: +Approved/);
    expect(await k("apply -f FILE", request("jane"))).toContain("jane unchanged");
  });

  it("autoscale, shown and edited in both versions", async () => {
    await k("create deployment web --image=podwire/echo:1");
    expect(await k("autoscale deployment web --min=2 --max=5 --cpu-percent=70")).toContain(
      "horizontalpodautoscaler.autoscaling/web autoscaled",
    );
    expect(await k("get hpa")).toMatch(
      /^NAME +REFERENCE +TARGETS +MINPODS +MAXPODS +REPLICAS +AGE\nweb +Deployment\/web +cpu: <unknown>\/70% +2 +5 +0 +\d+s\n$/,
    );
    expect(
      await k("get horizontalpodautoscalers.v1.autoscaling web -o jsonpath={.spec.targetCPUUtilizationPercentage}"),
    ).toBe("70");
    await k(
      'patch horizontalpodautoscalers.v1.autoscaling web --type=merge -p {"spec":{"targetCPUUtilizationPercentage":55}}',
    );
    expect(await k("get hpa web -o jsonpath={.spec.metrics[0].resource.target.averageUtilization}")).toBe("55");
    const memory = `{"spec":{"metrics":[{"type":"Resource","resource":{"name":"memory","target":{"type":"AverageValue","averageValue":"200Mi"}}}]}}`;
    await k(`patch hpa web --type=merge -p '${memory}'`);
    expect(await k("get horizontalpodautoscalers.v1.autoscaling web -o jsonpath={.metadata.annotations}")).toBe(
      `{"autoscaling.alpha.kubernetes.io/metrics":"[{\\"type\\":\\"Resource\\",\\"resource\\":{\\"name\\":\\"memory\\",\\"targetAverageValue\\":\\"200Mi\\"}}]"}`,
    );
    await k("label horizontalpodautoscalers.v1.autoscaling web a=b");
    expect(await k("get hpa web -o jsonpath={.spec.metrics[0].resource.target}")).toBe(
      `{"averageValue":"200Mi","type":"AverageValue"}`,
    );
  });

  it("get apiservices: this server's own, and one that nothing is passed on to", async () => {
    const own = await k("get apiservices");
    expect(own).toMatch(/^NAME +SERVICE +AVAILABLE +AGE\n/);
    expect(own).toMatch(/\nv1\. +Local +True +\d+s\n/);
    expect(own).toMatch(/\nv2\.autoscaling +Local +True +\d+s\n/);
    const remote = `
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.example.com}
spec:
  service: {name: metrics-server, namespace: kube-system}
  group: metrics.example.com
  version: v1beta1
  insecureSkipTLSVerify: true
  groupPriorityMinimum: 100
  versionPriority: 100
`;
    expect(await k("apply -f FILE", remote)).toContain("Warning: this API server passes no requests on");
    expect(await k("get apiservice v1beta1.metrics.example.com --no-headers")).toMatch(
      /kube-system\/metrics-server +False \(NotAggregated\)/,
    );
  });

  it("get componentstatuses, with its warning; a part that does not answer is unhealthy", async () => {
    const shown = await k("get componentstatuses");
    expect(shown).toContain("Warning: v1 ComponentStatus is deprecated in v1.19+");
    expect(shown).toMatch(/^NAME +STATUS +MESSAGE +ERROR\n/);
    expect(shown).toMatch(/\netcd-0 +Healthy +ok/);
    expect(await k("get cs nothing")).toContain(`componentstatuses "nothing" not found`);
  });

  it("create of webhooks warns that nothing calls them", async () => {
    const hooks = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hooks}
webhooks:
- name: a.example.com
  clientConfig: {service: {name: a, namespace: default}}
  admissionReviewVersions: [v1]
  sideEffects: None
`;
    expect(await k("create -f FILE", hooks)).toContain("Warning: this API server calls no admission webhooks");
    expect(await k("get validatingwebhookconfigurations --no-headers")).toMatch(/^hooks +1 +\d+s\n/);
  });

  it("POST of a Binding binds the pod that it names", async () => {
    await k("run lone --image=podwire/echo:1");
    const api = test.server.localTransport({ name: "admin", groups: ["system:masters"] });
    const binding = { metadata: { name: "lone" }, target: { kind: "Node", name: "node01" } };
    const bound = await ask(api, "POST", "/api/v1/namespaces/default/bindings", binding);
    expect(bound.status).toBe(201);
    expect(await k("get pod lone -o jsonpath={.spec.nodeName}")).toBe("node01");
    const again = await ask(api, "POST", "/api/v1/namespaces/default/bindings", binding);
    expect(again.body.message).toContain(`pod lone is already assigned to node "node01"`);
    const nowhere = await ask(api, "POST", "/api/v1/namespaces/default/bindings", { metadata: { name: "lone" } });
    expect(nowhere.body.message).toContain("target.name: Required value");
  });
});
