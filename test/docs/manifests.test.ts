import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { ConfigMap, Deployment, Ingress, KubeObject, Service } from "#api/index.ts";
import { parseCorefile, pluginOrder } from "#dns/index.ts";
import { buildModel, decide, parseFlags } from "#ingress/index.ts";
import { readManifests, resourceOf } from "#lab/manifests/index.ts";

const read = (path: string) => readManifests(path, ".");
const named = <T extends KubeObject>(list: readonly KubeObject[], kind: string, name: string): T => {
  const found = list.find((object) => object.kind === kind && object.metadata.name === name);
  if (!found) throw new Error(`no ${kind} ${name}`);
  return found as T;
};

describe("X03 G01 manifests that every cluster starts with (part: what they hold)", () => {
  const coredns = read("manifests/coredns.yaml");
  const ingress = read("manifests/ingress.yaml");

  test("every object has a resource and a place in its file", () => {
    for (const object of [...coredns, ...ingress, ...read("examples/online-store")]) {
      expect(resourceOf(object).kind).toBe(object.kind);
      expect(object.metadata.annotations?.["podwire.dev/source"]).toMatch(/^(manifests|examples)\/.*\.yaml:\d+$/);
    }
  });

  test("the Corefile has only plugins that exist", () => {
    const text = named<ConfigMap>(coredns, "ConfigMap", "coredns").data?.["Corefile"] ?? "";
    const directives = parseCorefile("Corefile", text).flatMap((block) => block.directives.map(({ name }) => name));
    const known = pluginOrder.map(({ name }) => name);
    expect(directives.filter((name) => !known.includes(name))).toEqual([]);
    for (const name of [
      "errors",
      "health",
      "ready",
      "kubernetes",
      "prometheus",
      "forward",
      "cache",
      "loop",
      "reload",
    ]) {
      expect(directives).toContain(name);
    }
  });

  test("the controller is the walk's own Deployment, with a probe", () => {
    const walk = read("examples/ingress-walk/ingress-controller.yaml");
    const [ours] = named<Deployment>(ingress, "Deployment", "ingress-controller").spec.template.spec.containers;
    const [theirs] = named<Deployment>(walk, "Deployment", "ingress-controller").spec.template.spec.containers;
    const { readinessProbe, ...rest } = ours ?? { name: "" };
    expect(rest).toEqual(theirs);
    expect(readinessProbe?.httpGet).toEqual({ path: "/healthz", port: 10254 });
    expect(parseFlags(theirs?.args ?? [], {}).warnings).toEqual([]);
  });
});

describe("G02 the shop's Ingresses lead to its Services (part: prediction)", () => {
  const objects = read("examples/online-store");
  const services = new Map(
    objects
      .filter((object): object is Service => object.kind === "Service")
      .map((service) => [
        `${service.metadata.namespace}/${service.metadata.name}`,
        { ...service, spec: { ...service.spec, clusterIP: "10.96.0.99" } },
      ]),
  );
  const model = (change: (ingress: Ingress) => Ingress = (same) => same) =>
    buildModel(
      {
        ingresses: objects.filter((object): object is Ingress => object.kind === "Ingress").map(change),
        services,
        classes: [],
      },
      {
        ingressClass: "nginx",
        controllerClass: "k8s.io/ingress-nginx",
        withoutClass: true,
        sslRedirect: true,
        defaultBackendService: "app-space/default-http-backend",
      },
    );
  const answer = (host: string, path: string, of = model()) => {
    const { route, host: virtual, path: sees } = decide(of, { host, path });
    const { target } = route ?? virtual.fallback;
    return target.kind === "service" ? `${target.name} ${sees}` : target.status;
  };

  test("by path and by name", () => {
    expect(model().complaints).toEqual([]);
    expect(answer("127.0.0.1", "/wear")).toBe("wear-service /");
    expect(answer("127.0.0.1", "/watch/x")).toBe("watch-service /");
    expect(answer("127.0.0.1", "/other")).toBe("default-http-backend /other");
    expect(answer("wear.my-online-store.com", "/")).toBe("wear-service /");
    expect(answer("watch.my-online-store.com", "/")).toBe("watch-service /");
  });

  test("without rewrite-target the stores are asked for /wear, which they do not have", () => {
    const without = model(({ metadata, ...rest }) => ({ ...rest, metadata: { ...metadata, annotations: {} } }));
    expect(answer("127.0.0.1", "/wear", without)).toBe("wear-service /wear");
  });
});

describe("G01 the walk's files (part: as written beside corrected)", () => {
  const folder = "examples/ingress-walk";
  test("the one that is no YAML is refused with its line, all others are read", () => {
    for (const name of readdirSync(folder).filter((file) => file.endsWith(".yaml"))) {
      if (name === "ingress-hosts.as-written.yaml")
        expect(() => read(`${folder}/${name}`)).toThrow(/as-written.yaml:1[89]: /);
      else expect(read(`${folder}/${name}`).length).toBeGreaterThan(0);
    }
  });

  test("the README names every file", () => {
    const text = readFileSync(`${folder}/README.md`, "utf8") + readFileSync("docs/notes-corrected.md", "utf8");
    for (const name of readdirSync(folder)) expect(text).toContain(name === "README.md" ? "" : name);
  });
});
