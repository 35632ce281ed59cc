import { describe, expect, it } from "vitest";
import { FieldErrors } from "../../errors.ts";
import type { JsonSchema, ValidationRule } from "../model.ts";
import { RuleEvaluation } from "./evaluate.ts";
import { compileRules } from "./rules.ts";
import { escapeField } from "./values.ts";

/** What the rules of a schema say of a value of field `f`, as `field: message`. */
function told(schema: JsonSchema, value: unknown, old?: unknown): string[] {
  const compiled = compileRules({ type: "object", properties: { f: schema } }, "root");
  expect(compiled.problems).toEqual([]);
  const errors = new FieldErrors();
  new RuleEvaluation(compiled, errors).object({ f: value }, old === undefined ? undefined : { f: old });
  return errors.causes.map((c) => `${c.field}: ${c.message}`);
}

const text: JsonSchema = { type: "string" };
const holds = (schema: JsonSchema, rule: string, value: unknown, old?: unknown) =>
  told({ ...schema, "x-kubernetes-validations": [{ rule }] }, value, old).length === 0;

const object = (properties: Record<string, JsonSchema>): JsonSchema => ({ type: "object", properties });
const list = (items: JsonSchema): JsonSchema => ({ type: "array", items });
const route = object({
  type: text,
  name: text,
  port: { type: "integer" },
  weight: { type: "number" },
  namespace: text,
  "a-b": text,
  labels: { type: "object", additionalProperties: text },
  size: { "x-kubernetes-int-or-string": true },
  timeout: { type: "string", format: "duration" },
  when: { type: "string", format: "date-time" },
});

const listener = object({
  name: text,
  port: { type: "integer" },
  protocol: text,
  hostname: text,
  tls: object({ mode: text }),
});

/** Rules as Gateway API's definitions and Kubernetes' documentation of validation rules have them. */
const rules: readonly (readonly [schema: JsonSchema, rule: string, good: unknown, bad: unknown])[] = [
  [route, "has(self.port)", { port: 1 }, {}],
  [route, "self.type == 'Service' ? has(self.port) : true", { type: "Service", port: 80 }, { type: "Service" }],
  [route, "!(has(self.name) && self.type != 'Named')", { name: "a", type: "Named" }, { name: "a", type: "x" }],
  [route, "self.port > 0 && self.port <= 65535", { port: 80 }, { port: 0 }],
  [route, "self.weight < 1.5", { weight: 1 }, { weight: 2 }],
  [route, "self.type in ['Exact', 'PathPrefix']", { type: "Exact" }, { type: "x" }],
  [route, "self.name.startsWith('/') && !self.name.contains('//')", { name: "/a" }, { name: "//" }],
  [route, "self.name.matches('(?i)^[A-Z]+$') || self.name.matches('^[[:digit:]]+$')", { name: "ab" }, { name: "-" }],
  [
    route,
    'self.name.matches(r"""^(?:[-A-Za-z0-9/._~!$&\'()*+,;=:@]|[%][0-9a-fA-F]{2})+$""")',
    { name: "a%20" },
    { name: "%2" },
  ],
  [route, "self.__namespace__ == 'x'", { namespace: "x" }, { namespace: "y" }],
  [route, "self.a__dash__b == 'x'", { "a-b": "x" }, { "a-b": "y" }],
  [route, "'k' in self.labels && self.labels['k'] == 'v'", { labels: { k: "v" } }, { labels: { k: "w" } }],
  [route, "self.labels.all(k, k.size() < 3)", { labels: { ab: "" } }, { labels: { abc: "" } }],
  [route, "type(self.size) == int ? self.size < 5 : self.size == '80%'", { size: 3 }, { size: "81%" }],
  [route, "self.timeout <= duration('10s')", { timeout: "9s" }, { timeout: "1m" }],
  [
    route,
    "self.when > timestamp('2020-01-01T00:00:00Z')",
    { when: "2021-01-01T00:00:00Z" },
    { when: "2019-01-01T00:00:00Z" },
  ],
  [route, "self.?name.orValue('none') == 'none'", {}, { name: "a" }],
  [route, "size(self.name) == 3", { name: "äöü" }, { name: "ab" }],
  [
    list(route),
    "self.all(a, self.exists_one(b, a.name == b.name))",
    [{ name: "a" }, { name: "b" }],
    [{ name: "a" }, { name: "a" }],
  ],
  [
    list(route),
    "self.filter(r, r.type == 'Redirect').size() <= 1",
    [{ type: "Redirect" }, { type: "x" }],
    [{ type: "Redirect" }, { type: "Redirect" }],
  ],
  [list(route), "self.exists(r, has(r.port) && r.port == 443)", [{ port: 443 }], [{ port: 80 }, {}]],
  [
    list(listener),
    "self.all(l, l.protocol in ['HTTP', 'TCP', 'UDP'] ? !has(l.tls) : true)",
    [{ protocol: "HTTP" }, { protocol: "HTTPS", tls: {} }],
    [{ protocol: "TCP", tls: {} }],
  ],
  [
    list(listener),
    "self.all(l, (l.protocol == 'HTTPS' && has(l.tls)) ? (l.tls.mode == '' || l.tls.mode == 'Terminate') : true)",
    [
      { protocol: "HTTPS", tls: { mode: "Terminate" } },
      { protocol: "TLS", tls: {} },
    ],
    [{ protocol: "HTTPS", tls: { mode: "Passthrough" } }],
  ],
  [
    list(listener),
    "self.all(l1, self.exists_one(l2, l1.port == l2.port && l1.protocol == l2.protocol && (has(l1.hostname) && has(l2.hostname) ? l1.hostname == l2.hostname : !has(l1.hostname) && !has(l2.hostname))))",
    [
      { port: 80, protocol: "HTTP" },
      { port: 80, protocol: "HTTP", hostname: "a" },
    ],
    [
      { port: 80, protocol: "HTTP" },
      { port: 80, protocol: "HTTP" },
    ],
  ],
  [list({ type: "integer" }), "self.isSorted() && self.sum() < 10 && self.max() == 4", [1, 4], [4, 1]],
  [list(text), "self.map(s, s.lowerAscii()).indexOf('b') == 1", ["A", "B"], ["B"]],
  [text, "isURL(self) && self.find('[0-9]+') == '80'", "http://a:80/", "a"],
  [text, "quantity(self).isLessThan(quantity('1Gi'))", "512Mi", "2Gi"],
  [text, "isIP(self) || isCIDR(self)", "10.0.0.0/8", "10.0.0.0/33"],
  // Examples of kubernetes.io/docs/reference/using-api/cel, for IP addresses, CIDR, URLs; cel-go's for format.
  [text, "ip(self).family() == 6 && !ip(self).isLoopback()", "2001:db8::68", "::1"],
  [text, "ip(self).isGlobalUnicast() && string(ip(self)) == self", "192.168.0.1", "224.0.0.1"],
  [text, "isIP(self) && (ip(self).isUnspecified() || ip(self).isLinkLocalUnicast())", "169.254.169.254", "10.0.0.1"],
  [text, "ip(self) == ip('0:0:0:0:0:0:0:1') || ip(self).isLinkLocalMulticast()", "::1", "::2"],
  [
    text,
    "cidr('192.168.0.0/24').containsIP(self) && cidr('192.168.0.0/24').containsIP(ip(self))",
    "192.168.0.1",
    "192.168.1.1",
  ],
  [
    text,
    "cidr('192.168.0.0/16').containsCIDR(self) && cidr(self).prefixLength() == 24",
    "192.168.10.0/24",
    "192.169.0.0/24",
  ],
  [
    text,
    "cidr(self).masked() == cidr('192.168.0.0/24') && cidr(self).ip() == ip('192.168.0.7')",
    "192.168.0.7/24",
    "192.168.1.7/24",
  ],
  [
    text,
    "url(self).getHost() == 'example.com:80' && url(self).getHostname() == 'example.com'",
    "https://example.com:80/",
    "https://example.com/",
  ],
  [text, "url(self).getPort() == '80' && url(self).getScheme() == 'https'", "https://[::1]:80/", "http://[::1]:80/"],
  [text, "url(self).getEscapedPath() == '/path%20with%20spaces/'", "https://example.com/path%20with%20spaces/", "/a"],
  [
    text,
    "url(self).getQuery()['k2'] == ['b', 'c']",
    "https://example.com/path?k1=a&k2=b&k2=c",
    "https://example.com/?k2=b",
  ],
  [
    text,
    "'%s is %d, %.2f, %b, %x and 100%%'.format([self, 255, 1.5, 5, 255]) == 'it is 255, 1.50, 101, ff and 100%'",
    "it",
    "x",
  ],
  [text, "'%s %s'.format([['a', self], true]) == '[a, b] true'", "b", "c"],
  [text, "self.split('.').size() == 2 && self.replace('.', '-') == 'a-b'", "a.b", "a.b.c"],
];

describe("custom resources: rules in CEL", () => {
  it.each(rules)("%#: %s %s", (schema, rule, good, bad) => {
    expect([holds(schema, rule, good), holds(schema, rule, bad)]).toEqual([true, false]);
  });

  it("says message, messageExpression or the rule, with reason and field", () => {
    const schema = (rule: Partial<ValidationRule>): JsonSchema => ({
      ...route,
      "x-kubernetes-validations": [{ rule: "self.port > 1", ...rule }],
    });
    expect(told(schema({}), { port: 1 })).toEqual(['f: Invalid value: "object": failed rule: self.port > 1']);
    expect(told(schema({ message: "too low" }), { port: 1 })).toEqual(['f: Invalid value: "object": too low']);
    expect(told(schema({ message: "m", messageExpression: "'port is ' + string(self.port)" }), { port: 1 })).toEqual([
      'f: Invalid value: "object": port is 1',
    ]);
    expect(told(schema({ message: "m", reason: "FieldValueForbidden", fieldPath: ".port" }), { port: 1 })).toEqual([
      "f.port: Forbidden: m",
    ]);
    expect(told(schema({ message: "m", reason: "FieldValueRequired" }), { port: 1 })).toEqual(["f: Required value: m"]);
  });

  it("tells of what cannot be evaluated", () => {
    expect(told({ ...route, "x-kubernetes-validations": [{ rule: "self.port > 1" }] }, {})).toEqual([
      'f: Invalid value: "object": no such key: port evaluating rule: failed rule: self.port > 1',
    ]);
  });

  it("compares with the old value only where there is one", () => {
    const rule = "self == oldSelf";
    expect(holds(text, rule, "a")).toBe(true);
    expect(holds(text, rule, "a", "a")).toBe(true);
    expect(holds(text, rule, "a", "b")).toBe(false);
    const optional: JsonSchema = {
      ...text,
      "x-kubernetes-validations": [{ rule: "oldSelf.hasValue() || self == 'first'", optionalOldSelf: true }],
    };
    expect(told(optional, "x")).toHaveLength(1);
    expect(told(optional, "first")).toEqual([]);
    expect(told(optional, "x", "y")).toEqual([]);
  });

  it("finds the old items of keyed lists", () => {
    const item: JsonSchema = {
      type: "object",
      properties: { k: text, v: { type: "integer" } },
      "x-kubernetes-validations": [{ rule: "self.v >= oldSelf.v" }],
    };
    const keyed: JsonSchema = {
      type: "array",
      items: item,
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["k"],
    };
    const now = [
      { k: "b", v: 1 },
      { k: "a", v: 1 },
    ];
    expect(told(keyed, now, [{ k: "a", v: 2 }])).toEqual([
      'f[1]: Invalid value: "object": failed rule: self.v >= oldSelf.v',
    ]);
  });

  it("does not hold against a change what has not changed", () => {
    expect(holds(text, "self == 'x'", "old", "old")).toBe(true);
  });

  // Source: github.com/google/cel-go/common/source.go and errors.go: line, column from 1, and a mark under the place.
  it.each([
    ["self ==", "<input>:1:8: Syntax error: ", " | self ==\n | .......^"],
    ["self.a &&\n  (self.b", "<input>:2:10: Syntax error: ", " |   (self.b\n | .........^"],
    ["'ä' == self..x", "<input>:1:13: Syntax error: ", " | 'ä' == self..x\n | ............^"],
    ["other > 1", "<input>:1:1: undeclared reference to 'other' (in container '')", " | other > 1\n | ^"],
    [
      "'x' == x && self.matches('a')",
      "<input>:1:8: undeclared reference to 'x' (in container '')",
      " | 'x' == x && self.matches('a')\n | .......^",
    ],
  ])("says where a rule is wrong: %j", (rule, what, mark) => {
    const { problems } = compileRules({ ...text, "x-kubernetes-validations": [{ rule }] }, "at");
    expect(problems).toMatchObject([{ where: "at.x-kubernetes-validations[0].rule", rule, wrong: { of: { rule } } }]);
    expect(problems[0]?.why).toContain(`compilation failed: ERROR: ${what}`);
    expect(problems[0]?.why.endsWith(`\n${mark}`)).toBe(true);
  });

  it("says when a rule has another type than it has to have, and what is only beyond this library", () => {
    const rules = [{ rule: "size('a')" }, { rule: "true", messageExpression: "1" }, { rule: "self.sorcery()" }];
    const { problems } = compileRules({ ...text, "x-kubernetes-validations": rules }, "at");
    expect(problems.map((p) => [p.where, p.why, p.wrong !== undefined])).toEqual([
      ["at.x-kubernetes-validations[0].rule", "must evaluate to a bool", true],
      ["at.x-kubernetes-validations[1].messageExpression", "must evaluate to a string", true],
      ["at.x-kubernetes-validations[2].rule", expect.stringContaining("sorcery"), false],
    ]);
  });

  it("stops where a rule would take too long", () => {
    const rule = "self.all(a, self.all(b, self.all(c, a + b + c >= 0)))";
    const long = Array.from({ length: 2000 }, (_, i) => i);
    expect(told({ ...list({ type: "integer" }), "x-kubernetes-validations": [{ rule }] }, long)).toEqual([
      'f: Invalid value: "array": validation failed due to running out of cost budget, no further validation rules will be run',
    ]);
  });

  it("escapes names (k8s.io/apiserver/pkg/cel/escaping.go)", () => {
    expect(["namespace", "a.b", "a-b", "a/b", "a__b", "plain"].map(escapeField)).toEqual([
      "__namespace__",
      "a__dot__b",
      "a__dash__b",
      "a__slash__b",
      "a__underscores__b",
      "plain",
    ]);
  });
});
