import { describe, expect, it } from "vitest";
import { eventually, get } from "#test/support/firstLight.ts";
import { clusterSuite } from "#test/support/suite.ts";

/** The walk of the notes, each step on what the ones before it made; test/e2e/documents.test.ts types the README's. */
describe("G01 G02 the ingress walk on a cluster without an ingress controller", () => {
  const suite = clusterSuite(["--ingress", "none"]);
  const k = (command: string, input?: string): Promise<string> => suite.kubectl.ok(command, input);
  const file = (name: string): string => `${suite.cluster.examples}/ingress-walk/${name}`;
  const nodePort = async (path: string, host?: string) => {
    const { nodes } = await suite.cluster.status();
    return get(`http://${nodes[2]?.hostAddress}:30080${path}`, host);
  };

  it("a fresh cluster has no controller, no class, no Ingress, no address for it, and no shop", async () => {
    expect((await suite.cluster.status()).urls.ingress).toBeUndefined();
    expect((await suite.cluster.status()).firstAnswerMs).toBeUndefined();
    expect(await k("get pods -A -o jsonpath={.items[*].metadata.name}")).not.toContain("ingress");
    for (const kind of ["ing -A", "ingressclass"]) expect(await k(`get ${kind} -o name`)).toBe("");
    expect(await suite.kubectl.fails("get ns ingress-space")).toContain("not found");
    expect(await suite.kubectl.fails("get ns app-space")).toContain("not found");
    await expect(nodePort("/")).rejects.toThrow(/ECONNREFUSED/);
  });

  it("namespace, ConfigMap, ServiceAccount, Role and RoleBinding by the notes' commands", async () => {
    await k(`apply -f ${suite.cluster.examples}/online-store/01-shop.yaml`);
    expect(await k("create ns ingress-space")).toBe("namespace/ingress-space created\n");
    expect(await k("create cm nginx-configuration -n ingress-space")).toBe("configmap/nginx-configuration created\n");
    expect(await k("create sa ingress-serviceaccount -n ingress-space")).toBe(
      "serviceaccount/ingress-serviceaccount created\n",
    );
    await k(`create -f ${file("ingress-role.yaml")}`);
  });

  it("the controller's Deployment, its image name and arguments as written; an event says what the image is", async () => {
    expect(await k(`create -f ${file("ingress-controller.yaml")}`)).toBe(
      "deployment.apps/ingress-controller created\n",
    );
    await k("rollout status deployment/ingress-controller -n ingress-space --timeout=60s");
    const pod = await k("get pods -n ingress-space -o jsonpath={.items[0].metadata.name}");
    expect(await k(`get pod ${pod} -n ingress-space -o jsonpath={.spec.containers[0].image}`)).toBe(
      "quay.io/kubernetes-ingress-controller/nginx-ingress-controller:0.21.0",
    );
    await eventually(async () =>
      expect((await suite.kubectl.events("ingress-space", pod)).join("\n")).toMatch(
        /ImageTemplate: Image "quay\.io\/.*" is the template podwire\/ingress/,
      ),
    );
  });

  it("exposed as NodePort 30080: the default backend answers", async () => {
    const command =
      "expose deployment -n ingress-space ingress-controller --type=NodePort --port=80 --name=ingress --dry-run=client -o yaml";
    expect(await k(command)).toContain("type: NodePort");
    expect(await k(`create -f ${file("ingress-svc.yaml")}`)).toBe("service/ingress created\n");
    await eventually(async () =>
      expect(await nodePort("/")).toMatchObject({ status: 404, body: "default backend - 404\n" }),
    );
  });

  it("spec.backend is refused with upstream's message; spec.defaultBackend takes everything", async () => {
    const written = file("ingress-wear.as-written.yaml");
    expect(await suite.kubectl.fails(`create -f ${written}`)).toBe(
      `Error from server (BadRequest): error when creating "${written}": Ingress in version "v1" cannot be handled as a Ingress: strict decoding error: unknown field "spec.backend"\n`,
    );
    await k(`create -f ${file("ingress-wear.yaml")}`);
    await eventually(async () => expect((await nodePort("/")).body).toBe("Welcome to the wear store\n"));
    await k(`delete -f ${file("ingress-wear.yaml")}`);
    await eventually(async () => expect((await nodePort("/")).status).toBe(404));
  });

  it("create ing --rule as typed in the notes is accepted: ports that the Services lack answer 503", async () => {
    await k(
      "create ing ingress-wear-watch --rule=/wear=wear-service:8080 --rule=/watch=video-service:8080 -n app-space",
    );
    await eventually(async () => expect((await nodePort("/wear")).status).toBe(503));
    await eventually(async () => expect((await nodePort("/watch")).status).toBe(503));
    expect(await k("get ingress -n app-space")).toMatch(/^ingress-wear-watch +<none> +\* +\S* +80 /m);
    expect(await k("describe ing ingress-wear-watch -n app-space")).toMatch(
      /\/watch +video-service:8080 \(<error: services "video-service" not found>\)/,
    );
    await k("delete ing ingress-wear-watch -n app-space");
  });

  it("two paths, with rewrite-target: the stores answer at /wear and /watch", async () => {
    await k(`create -f ${file("ingress-wear-watch.yaml")}`);
    await eventually(async () => expect((await nodePort("/wear")).body).toBe("Welcome to the wear store\n"));
    // An old worker of nginx may answer one more connection after the new ones have begun (nginx(8), SIGHUP).
    await eventually(async () => expect((await nodePort("/watch")).body).toBe("Welcome to the watch store\n"));
    await eventually(async () => expect((await nodePort("/elsewhere")).status).toBe(404));
  });

  it("two hosts: broken YAML and missing pathType are refused with upstream's messages; corrected, they answer", async () => {
    expect(await suite.kubectl.fails(`create -f ${file("ingress-hosts.as-written.yaml")}`)).toMatch(
      /error converting YAML to JSON: yaml: line 18: did not find expected key/,
    );
    expect(await suite.kubectl.fails(`create -f ${file("ingress-hosts.no-path-type.yaml")}`)).toBe(
      'The Ingress "ingress-wear-watch-hosts" is invalid: \n* spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified\n* spec.rules[1].http.paths[0].pathType: Required value: pathType must be specified\n',
    );
    await k(`create -f ${file("ingress-hosts.yaml")}`);
    await eventually(async () =>
      expect((await nodePort("/", "wear.my-online-store.com")).body).toBe("Welcome to the wear store\n"),
    );
    await eventually(async () =>
      expect((await nodePort("/", "watch.my-online-store.com")).body).toBe("Welcome to the watch store\n"),
    );
  });

  it("ends with curl, on a node and in a pod", async () => {
    const both = "Welcome to the wear store\nWelcome to the watch store\n";
    const onNode = "curl -s http://node02:30080/wear; curl -s http://192.168.1.10:30080/watch";
    await eventually(async () => expect((await suite.cluster.sh("node01", onNode)).stdout).toBe(both));
    await k("run box --image=podwire/toolbox -- sleep infinity");
    await k("wait --for=condition=Ready pod/box --timeout=60s");
    const inPod = "curl -s ingress.ingress-space/wear; curl -s 192.168.1.11:30080/watch";
    await eventually(async () => expect(await suite.kubectl.inPod("default", "box", inPod)).toBe(both));
  });
});
