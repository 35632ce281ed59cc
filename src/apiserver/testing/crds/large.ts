type Dict = Record<string, unknown>;

const sentence =
  "Says how this part of a route is to be treated by an implementation, which conditions have to hold for it, and what happens when several of them do. Support: Core for implementations that know of it, Implementation-specific for all others.";

const name = (pattern: string) => ({ type: "string", minLength: 1, maxLength: 253, pattern, description: sentence });
const dnsName = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/** A reference to another object, with the rules that such references have. */
function reference(): Dict {
  return {
    type: "object",
    description: sentence,
    required: ["name"],
    properties: {
      group: { type: "string", default: "", maxLength: 253, description: sentence },
      kind: { type: "string", default: "Service", maxLength: 63, description: sentence },
      name: name(dnsName),
      namespace: name("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
      port: { type: "integer", format: "int32", minimum: 1, maximum: 65535, description: sentence },
      weight: { type: "integer", format: "int32", minimum: 0, maximum: 1000000, default: 1, description: sentence },
    },
    "x-kubernetes-validations": [
      {
        message: "Must have port for Service reference",
        rule: "(size(self.group) == 0 && self.kind == 'Service') ? has(self.port) : true",
      },
    ],
  };
}

function headers(): Dict {
  return {
    type: "array",
    maxItems: 16,
    description: sentence,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    items: {
      type: "object",
      required: ["name", "value"],
      properties: {
        name: name("^[A-Za-z0-9!#$%&'*+\\-.^_`|~]+$"),
        value: { type: "string", minLength: 1, maxLength: 4096, description: sentence },
      },
    },
  };
}

const kinds = ["RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "RequestRedirect", "URLRewrite"];
const fieldOf = (kind: string) => (kind === "URLRewrite" ? "urlRewrite" : kind.charAt(0).toLowerCase() + kind.slice(1));

/** A filter: one of several kinds, with the rules by which field and type go together. */
function filter(): Dict {
  const modifier = () => ({
    type: "object",
    description: sentence,
    properties: { add: headers(), set: headers(), remove: { type: "array", maxItems: 16, items: { type: "string" } } },
  });
  const path = () => ({
    type: "object",
    required: ["type"],
    description: sentence,
    properties: {
      type: { type: "string", enum: ["ReplaceFullPath", "ReplacePrefixMatch"], description: sentence },
      replaceFullPath: { type: "string", maxLength: 1024, description: sentence },
      replacePrefixMatch: { type: "string", maxLength: 1024, description: sentence },
    },
    "x-kubernetes-validations": [
      {
        message: "replaceFullPath must be specified when type is set to 'ReplaceFullPath'",
        rule: "self.type == 'ReplaceFullPath' ? has(self.replaceFullPath) : true",
      },
    ],
  });
  return {
    type: "object",
    required: ["type"],
    description: sentence,
    properties: {
      type: { type: "string", enum: kinds, description: sentence },
      requestHeaderModifier: modifier(),
      responseHeaderModifier: modifier(),
      requestMirror: {
        type: "object",
        required: ["backendRef"],
        properties: { backendRef: reference(), percent: { type: "integer", minimum: 0, maximum: 100 } },
      },
      requestRedirect: {
        type: "object",
        properties: {
          hostname: name(dnsName),
          path: path(),
          port: { type: "integer", minimum: 1, maximum: 65535 },
          scheme: { type: "string", enum: ["http", "https"] },
          statusCode: { type: "integer", default: 302, enum: [301, 302, 303, 307, 308] },
        },
      },
      urlRewrite: { type: "object", properties: { hostname: name(dnsName), path: path() } },
    },
    "x-kubernetes-validations": kinds.flatMap((kind) => [
      {
        message: `filter.${fieldOf(kind)} must be nil if the filter.type is not ${kind}`,
        rule: `!(has(self.${fieldOf(kind)}) && self.type != '${kind}')`,
      },
      {
        message: `filter.${fieldOf(kind)} must be specified for ${kind} filter.type`,
        rule: `!(!has(self.${fieldOf(kind)}) && self.type == '${kind}')`,
      },
    ]),
  };
}

function filters(): Dict {
  return {
    type: "array",
    maxItems: 16,
    description: sentence,
    items: filter(),
    "x-kubernetes-validations": [
      {
        message: "RequestRedirect filter cannot be repeated",
        rule: "self.filter(f, f.type == 'RequestRedirect').size() <= 1",
      },
    ],
  };
}

function match(): Dict {
  return {
    type: "object",
    description: sentence,
    properties: {
      path: {
        type: "object",
        default: { type: "PathPrefix", value: "/" },
        properties: {
          type: { type: "string", enum: ["Exact", "PathPrefix", "RegularExpression"], default: "PathPrefix" },
          value: { type: "string", maxLength: 1024, default: "/", description: sentence },
        },
        "x-kubernetes-validations": [
          {
            message: "value must be an absolute path and start with '/' when type one of ['Exact', 'PathPrefix']",
            rule: "(self.type in ['Exact','PathPrefix']) ? self.value.startsWith('/') : true",
          },
          {
            message: "must only contain valid characters",
            rule: '(self.type in [\'Exact\',\'PathPrefix\']) ? self.value.matches(r"""^(?:[-A-Za-z0-9/._~!$&\'()*+,;=:@]|[%][0-9a-fA-F]{2})+$""") : true',
          },
        ],
      },
      headers: headers(),
      queryParams: headers(),
      method: { type: "string", enum: ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"], description: sentence },
    },
  };
}

/** One of the copies that make the schema large: each is a rule of its own kind. */
function rule(): Dict {
  return {
    type: "object",
    description: sentence,
    properties: {
      name: name(dnsName),
      matches: { type: "array", maxItems: 64, default: [{ path: { type: "PathPrefix", value: "/" } }], items: match() },
      filters: filters(),
      backendRefs: {
        type: "array",
        maxItems: 16,
        items: (() => {
          const ref = reference();
          return { ...ref, properties: { ...(ref.properties as Dict), filters: filters() } };
        })(),
      },
      timeouts: {
        type: "object",
        properties: {
          request: { type: "string", pattern: "^([0-9]{1,5}(h|m|s|ms)){1,4}$" },
          backendRequest: { type: "string", pattern: "^([0-9]{1,5}(h|m|s|ms)){1,4}$" },
        },
        "x-kubernetes-validations": [
          {
            message: "backendRequest timeout cannot be longer than request timeout",
            rule: "!(has(self.request) && has(self.backendRequest) && duration(self.request) != duration('0s') && duration(self.backendRequest) > duration(self.request))",
          },
        ],
      },
    },
  };
}

function parents(): Dict {
  const same = ["group", "kind", "name"].map((f) => `p1.${f} == p2.${f}`).join(" && ");
  const none = (p: string, f: string) => `(!has(${p}.${f}) || ${p}.${f} == '')`;
  return {
    type: "array",
    maxItems: 32,
    description: sentence,
    items: {
      type: "object",
      required: ["name"],
      properties: {
        group: { type: "string", default: "gateway.example.com" },
        kind: { type: "string", default: "Gateway" },
        name: name(dnsName),
        namespace: name("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
        sectionName: name(dnsName),
      },
    },
    "x-kubernetes-validations": [
      {
        message: "sectionName must be unique when parentRefs includes 2 or more references to the same parent",
        rule: `self.all(p1, self.exists_one(p2, ${same} && ((${none("p1", "__namespace__")} && ${none("p2", "__namespace__")}) || (has(p1.__namespace__) && has(p2.__namespace__) && p1.__namespace__ == p2.__namespace__)) && ((${none("p1", "sectionName")} && ${none("p2", "sectionName")}) || (has(p1.sectionName) && has(p2.sectionName) && p1.sectionName == p2.sectionName))))`,
      },
    ],
  };
}

/**
 * A definition like those of Gateway API in size and in what it says: thousands of schema nodes, some hundred CEL
 * rules. `copies` is how many kinds of rules a route has; nine make some 330 KB.
 */
export function largeDefinition(kind: string, copies = 9): Dict {
  const plural = `${kind.toLowerCase()}s`;
  const rules: Dict = {};
  for (let i = 0; i < copies; i++) rules[`rules${i}`] = { type: "array", maxItems: 16, items: rule() };
  const schema = {
    type: "object",
    description: sentence,
    required: ["spec"],
    properties: {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: { type: "object" },
      spec: {
        type: "object",
        properties: {
          parentRefs: parents(),
          hostnames: {
            type: "array",
            maxItems: 16,
            items: name("^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
          },
          ...rules,
        },
      },
      status: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    },
  };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.gateway.example.com` },
    spec: {
      group: "gateway.example.com",
      scope: "Namespaced",
      names: { plural, kind, categories: ["gateway-api"] },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [
            { name: "Hostnames", type: "string", jsonPath: ".spec.hostnames" },
            { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
          ],
          schema: { openAPIV3Schema: schema },
        },
      ],
    },
  };
}

/** A route of such a kind. */
export function largeObject(kind: string, objectName: string): Dict {
  return {
    apiVersion: "gateway.example.com/v1",
    kind,
    metadata: { name: objectName },
    spec: {
      parentRefs: [{ name: "one" }, { name: "one", sectionName: "a" }],
      hostnames: ["a.example.com", "*.b.example.com"],
      rules0: [
        {
          matches: [{ path: { type: "Exact", value: "/wear" }, headers: [{ name: "x", value: "y" }] }],
          filters: [{ type: "RequestHeaderModifier", requestHeaderModifier: { set: [{ name: "a", value: "b" }] } }],
          backendRefs: [{ name: "wear", port: 8282 }],
          timeouts: { request: "10s", backendRequest: "2s" },
        },
        { backendRefs: [{ name: "watch", port: 80 }] },
      ],
    },
  };
}
