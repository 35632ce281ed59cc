import { describe, expect, test } from "vitest";
import type { IngressClass, Service } from "#api/index.ts";
import { ingress, modelOf, path, rule, service, servicesOf } from "./testing/objects.ts";

const services = servicesOf(service("a", "10.96.0.2"), service("b", "10.96.0.3"));
const told = (model: ReturnType<typeof modelOf>) =>
  model.complaints.map(({ reason, message }) => `${reason}: ${message}`);

describe("G02 model of hosts and paths (part: conflicts and refusals)", () => {
  test("the older of two Ingresses keeps a path, whatever order they come in", () => {
    const old = ingress([rule("a.example", path("/x", "a"))], {}, { name: "old", created: "2026-01-01T00:00:00Z" });
    const young = ingress(
      [rule("a.example", path("/x", "b"), path("/y", "b"))],
      {},
      { name: "young", created: "2026-01-02T00:00:00Z" },
    );
    for (const list of [
      [old, young],
      [young, old],
    ]) {
      const model = modelOf(list, services);
      const host = model.hosts.find((each) => each.host === "a.example");
      expect(host?.routes.map((route) => `${route.path} ${route.origin.name}`)).toEqual(["/x old", "/y young"]);
      expect(told(model)).toEqual([
        'Conflict: spec.rules[0].http.paths[0]: path "/x" of host a.example is already taken by Ingress app/old, which is older',
      ]);
    }
  });

  test("the same host twice in one Ingress: the first rule's path counts and the second is told", () => {
    const twice = ingress([
      rule("wear.my-online-store.com", path("/", "a")),
      rule("wear.my-online-store.com", path("/", "b")),
    ]);
    const model = modelOf([twice], services);
    expect(model.hosts[1]?.routes.map(({ target }) => target)).toMatchObject([{ name: "a" }]);
    expect(told(model)[0]).toContain(
      'path "/" of host wear.my-online-store.com is already taken by spec.rules[0].http.paths[0]',
    );
  });

  test("hosts, paths and annotations that cannot be are refused with the reason", () => {
    const bad = ingress(
      [
        rule("Bad Host", path("/", "a")),
        rule("a.*.example", path("/", "a")),
        rule(undefined, path('/a";', "a"), path("/b%zz", "a"), path("relative", "a")),
      ],
      { "rewrite-target": "$http_cookie", "ssl-redirect": "maybe", "configuration-snippet": "deny all;" },
    );
    const messages = told(modelOf([bad], services));
    expect(messages).toContain(
      'InvalidHost: spec.rules[0].host: "Bad Host" is no DNS name in lower case (or one after a leading *.)',
    );
    expect(messages).toContain(
      'InvalidPath: spec.rules[2].http.paths[0].path: "/a\\";" has the character "\\"", which is not allowed there',
    );
    expect(messages.filter((each) => each.startsWith("InvalidPath"))).toHaveLength(3);
    expect(messages.filter((each) => each.startsWith("InvalidAnnotation"))).toHaveLength(3);
    expect(modelOf([bad], services).hosts.flatMap(({ routes }) => routes)).toEqual([]);
  });

  test("backends without an address in the cluster are told by name", () => {
    const odd = (name: string, spec: Partial<Service["spec"]>) => service(name, "10.96.0.9", 80, spec);
    const list = servicesOf(
      odd("headless", { clusterIP: "None" }),
      odd("outside", { type: "ExternalName", externalName: "x.example" }),
      odd("udp", { ports: [{ port: 80, protocol: "UDP" }] }),
    );
    const names = ["headless", "outside", "udp", "missing"];
    const model = modelOf([ingress([rule(undefined, ...names.map((name) => path(`/${name}`, name)))])], list);
    expect(model.hosts[0]?.routes.every(({ target }) => target.kind === "answer" && target.status === 503)).toBe(true);
    expect(told(model).map((each) => each.split(": ").slice(2).join(": "))).toEqual([
      'Service "app/headless" is headless (clusterIP: None); an Ingress needs a Service with a cluster IP',
      'Service "app/outside" is of type ExternalName; it has no address in the cluster to send requests to',
      'port 80 of Service "app/udp" is UDP, not TCP',
      'Service "app/missing" does not exist',
    ]);
  });
});

describe("G02 whose Ingress it is (part: classes)", () => {
  const classOf = (name: string, controller: string): IngressClass => ({ metadata: { name }, spec: { controller } });
  const classes = [
    classOf("nginx", "k8s.io/ingress-nginx"),
    classOf("mine", "k8s.io/ingress-nginx"),
    classOf("other", "example.com/other"),
  ];
  const taken = (spec: { ingressClassName?: string }, annotation?: string, withoutClass = true, present = classes) => {
    const annotations = annotation === undefined ? {} : { "kubernetes.io/ingress.class": annotation };
    return (
      modelOf(
        [ingress([rule(undefined, path("/", "a"))], {}, { spec, annotations })],
        services,
        { withoutClass },
        present,
      ).ingresses.length === 1
    );
  };

  test("by spec.ingressClassName's controller, the old annotation, or no class at all", () => {
    expect(taken({ ingressClassName: "nginx" })).toBe(true);
    expect(taken({ ingressClassName: "mine" })).toBe(true);
    expect(taken({ ingressClassName: "other" })).toBe(false);
    expect(taken({ ingressClassName: "nginx" }, undefined, true, [])).toBe(true);
    expect(taken({ ingressClassName: "unknown" })).toBe(false);
    expect(taken({}, "nginx")).toBe(true);
    expect(taken({}, "traefik")).toBe(false);
    expect(taken({})).toBe(true);
    expect(taken({}, undefined, false)).toBe(false);
  });
});

describe("G03 redirects to https (part: which routes)", () => {
  const httpsOnly = (annotations: Record<string, string>, tls: boolean) => {
    const spec = tls ? { tls: [{ hosts: ["a.example"], secretName: "cert" }] } : {};
    return modelOf([ingress([rule("a.example", path("/", "a"))], annotations, { spec })], services).hosts[1]?.routes[0]
      ?.httpsOnly;
  };
  test("by ssl-redirect with TLS, by force-ssl-redirect always", () => {
    expect(httpsOnly({}, false)).toBe(false);
    expect(httpsOnly({}, true)).toBe(true);
    expect(httpsOnly({ "ssl-redirect": "false" }, true)).toBe(false);
    expect(httpsOnly({ "force-ssl-redirect": "true" }, false)).toBe(true);
  });
});
