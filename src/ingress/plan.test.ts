import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Ingress } from "#api/index.ts";
import { renderConfig } from "./plan.ts";
import { defaultSettings } from "./settings.ts";
import { type Directive, parseConfig } from "./testing/config.ts";
import { ingress, modelOf, path, rule, service, servicesOf } from "./testing/objects.ts";

const place = {
  httpPort: 80,
  statusPort: 10246,
  ipv6: true,
  user: "www-data",
  directory: "/tmp/nginx",
  accessLog: "/dev/stdout",
};
const services = servicesOf(
  service("wear-service", "10.96.1.1", 8282),
  service("watch-service", "10.96.1.2", 8080),
  service("six", "fd00::6"),
);
const render = (ingresses: readonly Ingress[]) =>
  renderConfig(modelOf(ingresses, services), defaultSettings, place, "r1");

const shop = [
  ingress(
    [rule(undefined, path("/wear", "wear-service", "Prefix", 8282), path("/watch", "watch-service", "Prefix", 8080))],
    { "rewrite-target": "/", "ssl-redirect": "false" },
    { name: "ingress-wear-watch", annotations: { "podwire.dev/source": "examples/online-store/ingress.yaml:2" } },
  ),
  ingress(
    [
      rule("wear.my-online-store.com", path("/", "wear-service", "Prefix", 8282)),
      rule(
        "*.sale.my-online-store.com",
        path("/v[0-9]+/(.*)", "six", "ImplementationSpecific"),
        path("/plain.html", "gone", "Exact"),
      ),
    ],
    { "use-regex": "true", "force-ssl-redirect": "true" },
    { name: "hosts" },
  ),
];

describe("G02 nginx configuration (part: text)", () => {
  test("the shop's configuration, with the origin of every location", async () => {
    await expect(render(shop).text).toMatchFileSnapshot("testing/shop.conf");
  });

  test("a line leads back to the object and field", () => {
    const { text, originOf } = render(shop);
    const line = text.split("\n").findIndex((each) => each.includes("proxy_pass http://10.96.1.2:8080")) + 1;
    expect(originOf(line)).toEqual({
      kind: "Ingress",
      namespace: "app",
      name: "ingress-wear-watch",
      field: "spec.rules[0].http.paths[1]",
      source: "examples/online-store/ingress.yaml:2",
    });
    expect(originOf(1)).toBeUndefined();
  });

  test("the same objects in another order give the same text", () => {
    expect(render(shop.toReversed()).text).toBe(render(shop).text);
  });
});

/** Hostile pieces more often than chance would bring them. */
const hostile = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.constantFrom(
    '"',
    "'",
    ";",
    "{",
    "}",
    "\\",
    '\\"',
    "\n",
    "\r\n",
    "#",
    "$",
    "$1",
    "${",
    "`",
    "\u2028",
    "\0",
    "%0a",
    "%22",
    "%5c",
    "%7d",
  ),
  fc.constantFrom(
    '"; return 200; #',
    "} location / { return 200; }",
    "/$http_authorization",
    "/(?#",
    "/a{1,2}",
    "~ ^/",
    "\n}",
    "\\\n",
  ),
);
const text = fc.array(hostile, { maxLength: 6 }).map((parts) => parts.join(""));
const pathText = fc.oneof(
  text,
  text.map((each) => `/${each}`),
);
const types = fc.constantFrom("Exact", "Prefix", "ImplementationSpecific") as fc.Arbitrary<
  "Exact" | "Prefix" | "ImplementationSpecific"
>;

const hostileIngress = fc
  .record({
    host: fc.oneof(text, fc.constantFrom("a.example", "*.a.example", undefined)),
    paths: fc.array(fc.tuple(pathText, types, fc.constantFrom("wear-service", "missing\n}")), { maxLength: 4 }),
    rewrite: fc.oneof(
      fc.constant(""),
      text,
      text.map((each) => `/${each}`),
    ),
    regex: fc.constantFrom("true", "false", '"; x'),
    source: text,
  })
  .map(({ host, paths, rewrite, regex, source }) =>
    ingress(
      [rule(host, ...paths.map(([each, type, name]) => path(each, name, type, 8282)))],
      { "rewrite-target": rewrite, "use-regex": regex },
      { name: "hostile", created: "2026-01-01T00:00:00Z", annotations: { "podwire.dev/source": source } },
    ),
  );

/** Directives that a location of ours may hold, with their number of words. */
const allowed: Readonly<Record<string, number>> = { set: 3, rewrite: 4, proxy_pass: 2, return: 2, if: 4 };

function shape(directives: readonly Directive[]): string[] {
  return directives.filter(({ words }) => words[0] !== "server").map(({ words }) => words[0] ?? "");
}

describe("G02 nothing in an Ingress can inject configuration (part: injection)", () => {
  const http = (config: readonly Directive[]) => config.find(({ words }) => words[0] === "http")?.block ?? [];
  const empty = parseConfig(render([]).text);

  test("any host, path, rewrite target or source leaves the structure as it is", () => {
    fc.assert(
      fc.property(fc.array(hostileIngress, { maxLength: 3 }), (ingresses) => {
        const config = parseConfig(render(ingresses).text);
        expect(shape(config)).toEqual(shape(empty));
        expect(shape(http(config))).toEqual(shape(http(empty)));
        for (const server of http(config)
          .filter(({ words }) => words[0] === "server")
          .slice(1)) {
          for (const directive of server.block ?? []) {
            if (directive.words[0] !== "location") {
              expect(["server_name", "listen"]).toContain(directive.words[0]);
              continue;
            }
            expect(directive.words.length).toBeLessThanOrEqual(3);
            for (const inner of directive.block ?? []) expect(inner.words.length).toBe(allowed[inner.words[0] ?? ""]);
          }
        }
      }),
      { seed: 20260101, numRuns: 1500 },
    );
  });

  test("the tokenizer of this test sees an injection where there is one", () => {
    expect(parseConfig('location "/x" { return 200; } location / { deny all; }')).toHaveLength(2);
    expect(() => parseConfig('location "/x" { return 200; } }')).toThrow("unexpected }");
    expect(parseConfig('a "x\\"; b"; # c\nd;').map(({ words }) => words)).toEqual([["a", 'x"; b'], ["d"]]);
  });
});
