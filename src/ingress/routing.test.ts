import type { Server } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Ingress } from "#api/index.ts";
import type { Services } from "./backend.ts";
import { decide } from "./match.ts";
import { curl, type Seen, startBackend, TestNginx } from "./testing/nginx.ts";
import { ingress, modelOf, path, rule, service, servicesOf } from "./testing/objects.ts";

/** What answers: a Service and the path that it sees, or nginx itself with a status. */
type Expected = { service: string; sees: string } | { status: number };

interface Row {
  readonly path: string;
  readonly host?: string;
  readonly expect: Expected;
}

interface Case {
  readonly name: string;
  readonly ingresses: readonly Ingress[];
  readonly rows: readonly Row[];
}

const to = (name: string, sees: string): Expected => ({ service: name, sees });
const notFound: Expected = { status: 404 };

const cases: readonly Case[] = [
  {
    name: "Exact",
    ingresses: [ingress([rule(undefined, path("/foo", "a", "Exact"), path("/bar/", "b", "Exact"))])],
    rows: [
      { path: "/foo", expect: to("a", "/foo") },
      { path: "/foo?x=1", expect: to("a", "/foo?x=1") },
      { path: "/foo/", expect: notFound },
      { path: "/FOO", expect: notFound },
      { path: "/bar/", expect: to("b", "/bar/") },
      { path: "/bar", expect: notFound },
    ],
  },
  {
    name: "Prefix goes by path elements (the table of the Kubernetes documentation)",
    ingresses: [ingress([rule(undefined, path("/aaa/bbb", "a"), path("/ccc/", "b"))])],
    rows: [
      { path: "/aaa/bbb", expect: to("a", "/aaa/bbb") },
      { path: "/aaa/bbb/", expect: to("a", "/aaa/bbb/") },
      { path: "/aaa/bbb/ccc", expect: to("a", "/aaa/bbb/ccc") },
      { path: "/aaa/bbbxyz", expect: notFound },
      { path: "/aaa/bb", expect: notFound },
      { path: "/ccc", expect: to("b", "/ccc") },
      { path: "/ccc/x", expect: to("b", "/ccc/x") },
      { path: "/cccc", expect: notFound },
    ],
  },
  {
    name: "the longest path wins, Exact over Prefix",
    ingresses: [
      ingress([
        rule(undefined, path("/", "root"), path("/aaa", "a"), path("/aaa/bbb", "b"), path("/aaa", "c", "Exact")),
      ]),
    ],
    rows: [
      { path: "/", expect: to("root", "/") },
      { path: "/aaa", expect: to("c", "/aaa") },
      { path: "/aaa/x", expect: to("a", "/aaa/x") },
      { path: "/aaa/bbb/x", expect: to("b", "/aaa/bbb/x") },
      { path: "/aaaa", expect: to("root", "/aaaa") },
    ],
  },
  {
    name: "ImplementationSpecific compares text",
    ingresses: [
      ingress([
        rule(undefined, path("/img", "a", "ImplementationSpecific"), path("/js/", "b", "ImplementationSpecific")),
      ]),
    ],
    rows: [
      { path: "/img", expect: to("a", "/img") },
      { path: "/images", expect: notFound },
      { path: "/img2/x", expect: to("a", "/img2/x") },
      { path: "/js", expect: to("b", "/js") },
      { path: "/js/x", expect: to("b", "/js/x") },
      { path: "/json", expect: notFound },
    ],
  },
  {
    name: "paths are compared decoded and normalised",
    ingresses: [ingress([rule(undefined, path("/a%20b", "a"), path("/c.d", "b"), path("/$x(y)", "c", "Exact"))])],
    rows: [
      { path: "/a%20b/x", expect: to("a", "/a%20b/x") },
      { path: "/%61%20b", expect: to("a", "/%61%20b") },
      { path: "//c.d", expect: to("b", "//c.d") },
      { path: "/x/../c.d", expect: to("b", "/x/../c.d") },
      { path: "/c%2ed", expect: to("b", "/c%2ed") },
      { path: "/cxd", expect: notFound },
      { path: "/$x(y)", expect: to("c", "/$x(y)") },
    ],
  },
  {
    name: "hosts: exact, wildcard of one label, all others",
    ingresses: [
      ingress([
        rule("wear.my-online-store.com", path("/", "a")),
        rule("*.my-online-store.com", path("/", "b")),
        rule(undefined, path("/all", "c")),
      ]),
    ],
    rows: [
      { host: "wear.my-online-store.com", path: "/x", expect: to("a", "/x") },
      { host: "WEAR.my-online-store.com:30080", path: "/x", expect: to("a", "/x") },
      { host: "watch.my-online-store.com", path: "/x", expect: to("b", "/x") },
      { host: "my-online-store.com", path: "/x", expect: notFound },
      { host: "a.b.my-online-store.com", path: "/x", expect: notFound },
      { host: "watchxmy-online-store.com", path: "/x", expect: notFound },
      { host: "elsewhere.example", path: "/all", expect: to("c", "/all") },
      { host: "wear.my-online-store.com", path: "/all", expect: to("a", "/all") },
    ],
  },
  {
    name: "rewrite-target: / (the shop of the walk)",
    ingresses: [
      ingress([rule(undefined, path("/wear", "a"), path("/watch", "b"))], {
        "rewrite-target": "/",
        "ssl-redirect": "false",
      }),
    ],
    rows: [
      { path: "/wear", expect: to("a", "/") },
      { path: "/wear/", expect: to("a", "/") },
      { path: "/wear/hats?size=4", expect: to("a", "/?size=4") },
      { path: "/watch", expect: to("b", "/") },
      { path: "/wearable", expect: notFound },
      { path: "/", expect: notFound },
    ],
  },
  {
    name: "rewrite-target with capture groups",
    ingresses: [
      ingress(
        [
          rule(
            undefined,
            path("/something(/|$)(.*)", "a", "ImplementationSpecific"),
            path("/v[0-9]{1,2}/(.*)", "b"),
            path("/plain", "c"),
          ),
        ],
        { "rewrite-target": "/new/$2" },
      ),
    ],
    rows: [
      { path: "/something", expect: to("a", "/new/") },
      { path: "/something/x/y?q=1", expect: to("a", "/new/x/y?q=1") },
      { path: "/SOMEthing/x", expect: to("a", "/new/x") },
      { path: "/somethingelse", expect: notFound },
      { path: "/v12/x", expect: to("b", "/new/") },
      { path: "/v123/x", expect: notFound },
      { path: "/plain/z", expect: to("c", "/new/") },
    ],
  },
  {
    name: "use-regex beside literal paths: longest first",
    ingresses: [
      ingress(
        [
          rule(
            undefined,
            path("/api/v[0-9]+", "a", "ImplementationSpecific"),
            path("/x|/y", "b", "ImplementationSpecific"),
          ),
        ],
        {
          "use-regex": "true",
        },
      ),
      ingress([
        rule(
          undefined,
          path("/", "root"),
          path("/api", "c"),
          path("/api/v1/exact/", "d", "Exact"),
          path("/api/v1", "e", "Exact"),
        ),
      ]),
    ],
    rows: [
      { path: "/api/v2/x", expect: to("a", "/api/v2/x") },
      { path: "/api/v1", expect: to("e", "/api/v1") },
      { path: "/api/v1/exact/", expect: to("d", "/api/v1/exact/") },
      { path: "/api/v1/exact", expect: to("a", "/api/v1/exact") },
      { path: "/api/w", expect: to("c", "/api/w") },
      { path: "/apix", expect: to("root", "/apix") },
      { path: "/y", expect: to("b", "/y") },
      { path: "/a/y", expect: to("root", "/a/y") },
    ],
  },
  {
    name: "an Ingress' default backend takes what its hosts leave over, without rules what all do",
    ingresses: [
      ingress(
        [rule("a.example", path("/x", "a"))],
        {},
        { spec: { defaultBackend: { service: { name: "b", port: { name: "http" } } } } },
      ),
      ingress([], {}, { spec: { rules: [], defaultBackend: { service: { name: "c", port: { number: 80 } } } } }),
    ],
    rows: [
      { host: "a.example", path: "/x", expect: to("a", "/x") },
      { host: "a.example", path: "/y", expect: to("b", "/y") },
      { host: "other.example", path: "/y", expect: to("c", "/y") },
    ],
  },
  {
    name: "a backend that is not there answers 503",
    ingresses: [ingress([rule(undefined, path("/gone", "missing"), path("/port", "a", "Prefix", 81))])],
    rows: [
      { path: "/gone", expect: { status: 503 } },
      { path: "/port", expect: { status: 503 } },
      { path: "/", expect: notFound },
    ],
  },
];

describe("G02 host and path rules (part: routing)", () => {
  const servers: Server[] = [];
  let nginx: TestNginx;
  let real: Services;

  beforeAll(async () => {
    const backends = await Promise.all(
      ["a", "b", "c", "d", "e", "root"].map(async (name) => {
        const { port, server } = await startBackend(name);
        servers.push(server);
        // The tests' paths ask for port 80, so the Service gets a second port of that number by name only in the model.
        return { name, port };
      }),
    );
    real = servicesOf(...backends.map(({ name, port }) => service(name, "127.0.0.1", port)));
    nginx = await TestNginx.create();
  });
  afterAll(async () => {
    await nginx.stop();
    for (const server of servers) server.close();
  });

  /** The same Ingresses with the backends' real ports in place of 80. */
  const withPorts = (list: readonly Ingress[]): Ingress[] =>
    JSON.parse(JSON.stringify(list), (key, value: unknown) => {
      if (key !== "service") return value;
      const { name, port } = value as { name: string; port: { number?: number } };
      const number = port.number === 80 ? real.get(`app/${name}`)?.spec.ports?.[0]?.port : port.number;
      return { name, port: number === undefined ? (port.number ? { number: 80 } : port) : { number } };
    }) as Ingress[];

  for (const each of cases) {
    test(`${each.name}: predicted and by nginx`, async () => {
      const model = modelOf(withPorts(each.ingresses), real);
      await nginx.apply(model, each.name);
      for (const row of each.rows) {
        const host = row.host ?? "any.example";
        const label = `${host}${row.path}`;
        const [bare = "/"] = row.path.split("?");
        const decision = decide(model, { host, path: bare });
        const { target } = decision.route ?? decision.host.fallback;
        const answer = await curl(nginx.url + row.path, { Host: host });
        if ("status" in row.expect) {
          expect(target, label).toMatchObject({ kind: "answer", status: row.expect.status });
          expect(answer.status, label).toBe(row.expect.status);
        } else {
          expect(target, label).toMatchObject({ kind: "service", name: row.expect.service });
          expect(answer.status, label).toBe(200);
          const seen = JSON.parse(answer.body) as Seen;
          expect(`${seen.service} ${seen.url}`, label).toBe(`${row.expect.service} ${row.expect.sees}`);
          if (decision.route?.rewrite) expect(decision.path, label).toBe(row.expect.sees.split("?")[0]);
        }
      }
    });
  }
});
