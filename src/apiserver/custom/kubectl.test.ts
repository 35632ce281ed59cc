import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApiServer } from "../server.ts";
import { ask } from "../testing/client.ts";
import { largeDefinition, largeObject } from "../testing/crds/large.ts";
import { widget, widgetDefinition } from "../testing/crds/widget.ts";
import { startTestServer, type TestServer } from "../testing/server.ts";

const kubectl = process.env.PODWIRE_TEST_KUBECTL ?? "kubectl";
const run = promisify(execFile);

let test: TestServer;
beforeAll(async () => {
  test = await startTestServer();
});
afterAll(() => test.stop());

/** Runs kubectl and returns what it printed on both outputs. FILE stands for a file with the input. */
async function k(command: string, input?: string): Promise<string> {
  const args = [...(command.match(/(?:[^\s']|'[^']*')+/g) ?? [])].map((a) => a.replace(/'/g, ""));
  const file = join(test.directory, "input.yaml");
  if (input !== undefined) writeFileSync(file, input);
  const cache = join(test.directory, "cache");
  const full = ["--kubeconfig", test.kubeconfig, "--cache-dir", cache, ...args.map((a) => (a === "FILE" ? file : a))];
  try {
    const { stdout, stderr } = await run(kubectl, full, { timeout: 60_000 });
    return stdout + stderr;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    return stdout + stderr;
  }
}

const withSpec = (spec: string) => `apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: bad}\nspec: ${spec}\n`;

describe("U01 kubectl: custom resource definitions (part: a real kubectl against the server alone)", {
  timeout: 120_000,
}, () => {
  it("create, get crd, wait, explain, api-resources", async () => {
    expect(await k("create -f FILE", widgetDefinition)).toBe(
      "customresourcedefinition.apiextensions.k8s.io/widgets.example.com created\n",
    );
    expect(await k("get crd")).toMatch(/^NAME +CREATED AT\nwidgets.example.com +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n$/);
    expect(await k("wait --for=condition=Established crd/widgets.example.com --timeout=10s")).toBe(
      "customresourcedefinition.apiextensions.k8s.io/widgets.example.com condition met\n",
    );
    expect(await k("get crds widgets.example.com -o jsonpath={.status.acceptedNames.listKind}")).toBe("WidgetList");
    expect(await k("explain crd.spec.names.plural")).toMatch(/plural is the plural name of the resource to serve/);
    expect(await k("explain widget.spec.size")).toMatch(
      /GROUP: +example.com\nKIND: +Widget\nVERSION: +v1\n\nFIELD: size <integer>\n\n.*\n +How big it is./s,
    );
    expect(await k("explain wd --recursive")).toMatch(
      /parts\t<\[\]Object>\n +count\t<integer>\n +name\t<string> -required-/,
    );
    expect(await k("api-resources --api-group=example.com")).toMatch(/widgets +wd +example.com\/v1 +true +Widget/);
    expect(await k("api-versions")).toMatch(/example.com\/v1\nexample.com\/v1beta1\n/);
    expect(await k("get widgets")).toBe("No resources found in default namespace.\n");
  });

  it("apply good objects twice, get with printer columns, -o wide, selectors", async () => {
    expect(await k("apply -f FILE", widget)).toBe("widget.example.com/first created\n");
    expect(await k("apply -f FILE", widget)).toBe("widget.example.com/first unchanged\n");
    expect(await k("get wd")).toMatch(/^NAME +SIZE +READY +AGE\nfirst +3 +\d+s\n$/);
    expect(await k("get widgets.v1.example.com -o wide")).toMatch(
      /^NAME +SIZE +READY +COLOR +HOSTS +AGE\nfirst +3 +red +\["a.example","b.example"\] +\d+s\n$/,
    );
    expect(await k("get all")).toMatch(/NAME +SIZE +READY +AGE\nwidget.example.com\/first +3/);
    expect(await k("get wd first -o jsonpath={.spec.color}/{.spec.replicas}")).toBe("red/1");
    expect(await k("get wd -l app=w -o name")).toBe("widget.example.com/first\n");
    expect(await k("get wd --field-selector spec.color=red -o name")).toBe("widget.example.com/first\n");
    expect(await k("get wd --field-selector spec.color=blue -o name")).toBe("");
    expect(await k("get wd --field-selector spec.size=3")).toContain("field label not supported: spec.size");
    expect(await k("describe wd first")).toMatch(/Kind: +Widget\n.*Color: +red/s);
  });

  it("says what is wrong with bad objects", async () => {
    const refused = async (spec: string) => (await k("apply -f FILE", withSpec(spec))).trim();
    expect(await refused("{size: 30}")).toBe(
      'The Widget "bad" is invalid: spec.size: Invalid value: 30: spec.size in body should be less than or equal to 10',
    );
    expect(await refused("{size: 3, foo: 1}")).toContain(
      'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.foo"',
    );
    expect(await refused("{size: big}")).toContain(
      'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"',
    );
    expect(await refused("{}")).toContain("spec.size: Required value");
    expect(await refused("{size: 1, color: green}")).toContain(
      'spec.color: Unsupported value: "green": supported values: "red", "blue"',
    );
    expect(await refused("{size: 1, hosts: [a, a]}")).toContain('spec.hosts[1]: Duplicate value: "a"');
    expect(await refused("{size: 1, hosts: [A]}")).toContain(
      `spec.hosts[0]: Invalid value: "A": spec.hosts[0] in body should match '^[a-z.]+$'`,
    );
    expect(await refused("{size: 1, hosts: [a, b, c, d]}")).toContain(
      "spec.hosts: Too many: 4: must have at most 3 items",
    );
    expect(await refused("{size: 1, parts: [{name: x}, {name: x}]}")).toContain(
      'spec.parts[1]: Duplicate value: {"name":"x"}',
    );
    expect(await refused("{size: 1, replicas: 2}")).toBe(
      'The Widget "bad" is invalid: spec: Invalid value: "object": no more replicas than size',
    );
    expect(await k('patch wd first --type=merge -p {"spec":{"size":2}}')).toBe(
      'The Widget "first" is invalid: spec: Invalid value: "object": size cannot shrink from 3\n',
    );
    expect(await k("create -f FILE --validate=warn", withSpec("{size: 3, foo: 1}"))).toMatch(
      /Warning: unknown field "spec.foo"/,
    );
    expect(await k("get wd bad -o jsonpath={.spec}")).not.toContain("foo");
  });

  it("scale, patch, edit's replace, status, label, server-side apply with a conflict", async () => {
    expect(await k("scale wd first --replicas=2")).toBe("widget.example.com/first scaled\n");
    expect(await k("get wd first -o jsonpath={.spec.replicas}/{.metadata.generation}")).toBe("2/2");
    expect(await k(`patch wd first -p {"spec":{"size":4}}`)).toContain(
      "application/strategic-merge-patch+json is not supported by example.com/v1, Kind=Widget",
    );
    expect(await k(`patch wd first --type=json -p [{"op":"replace","path":"/spec/size","value":4}]`)).toBe(
      "widget.example.com/first patched\n",
    );
    const status = `{"status":{"replicas":2,"conditions":[{"type":"Ready","status":"True"}]},"spec":{"size":9}}`;
    expect(await k(`patch wd first --subresource=status --type=merge -p ${status}`)).toBe(
      "widget.example.com/first patched\n",
    );
    expect(await k("get wd first")).toMatch(/first +4 +True/);
    expect(await k("get wd first -o jsonpath={.metadata.generation}")).toBe("3");
    expect(await k("label wd first a=b")).toBe("widget.example.com/first labeled\n");
    const applied = widget.replace("size: 3", "size: 7").replace("[{name: x, count: 2}]", "[{name: second}]");
    expect(await k("apply --server-side --field-manager=other -f FILE", applied)).toContain(
      'Apply failed with 1 conflict: conflict with "kubectl-patch" using example.com/v1: .spec.size',
    );
    expect(await k("apply --server-side --field-manager=other --force-conflicts -f FILE", applied)).toBe(
      "widget.example.com/first serverside-applied\n",
    );
    // What the client-side apply owned went over to the new manager, and goes when that does not name it
    // (kubernetes.io/docs/reference/using-api/server-side-apply, upgrading from client-side apply).
    expect(await k("get wd first -o jsonpath={.spec.parts[*].name}/{.spec.parts[*].count}")).toBe("second/7");
  });

  it("serves other versions, with a warning for a deprecated one", async () => {
    expect(await k("get widgets.v1beta1.example.com first")).toMatch(
      /^Warning: example.com\/v1beta1 Widget is deprecated\nNAME +AGE\nfirst +\d+s|NAME +AGE\nfirst +\d+s\nWarning: example.com\/v1beta1 Widget is deprecated/,
    );
    expect(await k("get widgets.v1beta1.example.com first -o jsonpath={.apiVersion}")).toContain("example.com/v1beta1");
  });

  it("refuses definitions that are none, and says why", async () => {
    const bad = widgetDefinition
      .replace("type: object\n        description", "description")
      .replace("storage: true", "storage: false");
    const text = await k("create -f FILE", bad.replaceAll("widgets", "gadgets").replaceAll("Widget", "Gadget"));
    expect(text).toContain(
      "spec.versions[0].schema.openAPIV3Schema.type: Required value: must not be empty at the root",
    );
    expect(text).toContain("must have exactly one version marked as storage version");
    expect(await k("apply -f FILE", widgetDefinition.replace("scope: Namespaced", "scope: Cluster"))).toContain(
      'spec.scope: Invalid value: "Cluster": field is immutable',
    );
    const other = widgetDefinition
      .replace("name: widgets.example.com", "name: others.example.com")
      .replace("plural: widgets", "plural: others");
    expect(await k("create -f FILE", other)).toContain("others.example.com created");
    expect(
      await k(
        "get crd others.example.com -o jsonpath={.status.conditions[?(@.type=='NamesAccepted')].message}".replaceAll(
          "'",
          '"',
        ),
      ),
    ).toContain("is already in use");
    expect(await k("delete crd others.example.com")).toContain("deleted");
  });

  it("deletes a definition with its objects", async () => {
    expect(await k("delete wd bad")).toMatch(/widget.example.com "bad" deleted/);
    expect(await k("delete crd widgets.example.com")).toMatch(
      /customresourcedefinition.apiextensions.k8s.io "widgets.example.com" deleted/,
    );
    // kubectl remembers what was served; what it asks for is not found.
    expect(await k("get wd")).toContain("the server could not find the requested resource");
    expect(await k("create -f FILE", widgetDefinition)).toContain("created");
    expect(await k("get wd")).toBe("No resources found in default namespace.\n");
  });
});

describe("U01 kubectl: definitions of Gateway API's size (part: install, validate, print)", {
  timeout: 120_000,
}, () => {
  it("are installed by create and by server-side apply, validate and print", async () => {
    const [one, two] = [largeDefinition("Route"), largeDefinition("Other")];
    expect(JSON.stringify(one).length).toBeGreaterThan(300_000);
    expect(await k("create -f FILE", JSON.stringify(one))).toBe(
      "customresourcedefinition.apiextensions.k8s.io/routes.gateway.example.com created\n",
    );
    expect(await k("apply --server-side -f FILE", JSON.stringify(two))).toBe(
      "customresourcedefinition.apiextensions.k8s.io/others.gateway.example.com serverside-applied\n",
    );
    expect(await k("apply --server-side -f FILE", JSON.stringify(two))).toContain("serverside-applied");
    expect(await k("apply -f FILE", JSON.stringify(largeObject("Route", "r")))).toBe(
      "route.gateway.example.com/r created\n",
    );
    expect(await k("get routes")).toMatch(/^NAME +HOSTNAMES +AGE\nr +\["a.example.com","\*.b.example.com"\] +\d+s\n$/);
    expect(await k("get gateway-api")).toContain("route.gateway.example.com/r");
    expect(await k("get route r -o jsonpath={.spec.rules0[1].matches[0].path.value}")).toBe("/");
    expect(await k("explain route.spec.rules0.filters.type")).toContain("FIELD: type <string>");
    const bad = JSON.stringify(largeObject("Route", "bad")).replace('"Exact","value":"/', '"Exact","value":"');
    expect(await k("apply -f FILE", bad)).toContain(
      "spec.rules0[0].matches[0].path: Invalid value: \"object\": value must be an absolute path and start with '/'",
    );
    const twice = JSON.stringify(largeObject("Route", "bad")).replace(',"sectionName":"a"', "");
    expect(await k("apply -f FILE", twice)).toContain(
      'spec.parentRefs: Invalid value: "array": sectionName must be unique when parentRefs includes 2 or more references to the same parent',
    );
  });
});

describe("a server that starts again", () => {
  it("serves the definitions that it had, at once", async () => {
    const logFile = join(test.directory, "store.log");
    const options = { ...test.options, store: { logFile } };
    const log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log } as never;
    const first = createApiServer(options, { log });
    const admin = { name: "admin", groups: ["system:masters"] };
    const api = first.localTransport(admin);
    await ask(api, "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", largeDefinition("Route", 1));
    const path = "/apis/gateway.example.com/v1/namespaces/default/routes";
    expect((await ask(api, "POST", path, largeObject("Route", "r"))).status).toBe(201);
    await first.stop();
    const second = createApiServer(options, { log });
    const again = second.localTransport(admin);
    expect((await ask(again, "GET", `${path}/r`)).body.spec).toMatchObject({ parentRefs: [{ kind: "Gateway" }, {}] });
    const bad = { ...largeObject("Route", "s"), spec: { hostnames: ["-"] } };
    expect((await ask(again, "POST", path, bad)).status).toBe(422);
    await second.stop();
  });
});
