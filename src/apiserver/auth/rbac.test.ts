import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { StoredObject } from "../object.ts";
import { Store } from "../store/index.ts";
import { noAttributes } from "./attributes.ts";
import { Rbac } from "./rbac.ts";
import { compactRules, missingRules, type PolicyRule, ruleAllows, ruleText } from "./rules.ts";

const group = "rbac.authorization.k8s.io";
const can = (verb: string, resource: string, more = {}) => ({ ...noAttributes, verb, resource, ...more });

describe("rules of roles", () => {
  it("cover verbs, groups, resources, subresources, names and paths", () => {
    const rule: PolicyRule = { apiGroups: ["", "apps"], resources: ["pods", "*/scale"], verbs: ["get"] };
    expect(ruleAllows(rule, can("get", "pods"))).toBe(true);
    expect(ruleAllows(rule, can("list", "pods"))).toBe(false);
    expect(ruleAllows(rule, can("get", "pods", { group: "batch" }))).toBe(false);
    expect(ruleAllows(rule, can("get", "pods", { subresource: "log" }))).toBe(false);
    expect(ruleAllows(rule, can("get", "deployments", { group: "apps", subresource: "scale" }))).toBe(true);
    const named: PolicyRule = { apiGroups: [""], resources: ["secrets"], verbs: ["*"], resourceNames: ["a"] };
    expect([
      ruleAllows(named, can("get", "secrets", { name: "a" })),
      ruleAllows(named, can("list", "secrets")),
    ]).toEqual([true, false]);
    const paths: PolicyRule = { nonResourceURLs: ["/healthz/*", "/version"], verbs: ["get"] };
    const path = (text: string) => ruleAllows(paths, { ...noAttributes, verb: "get", path: text });
    expect([path("/healthz/etcd"), path("/healthz"), path("/version"), path("/versions")]).toEqual([
      true,
      false,
      true,
      false,
    ]);
    // A run of stars in the middle is no wildcard, one at the end is; a long one takes no quadratic time.
    const stars = "*".repeat(500_000);
    const odd: PolicyRule = { nonResourceURLs: [`${stars}/x*`, `/y${stars}`], verbs: ["get"] };
    const asked = (text: string) => ruleAllows(odd, { ...noAttributes, verb: "get", path: text });
    expect([asked("/x"), asked("/yes"), asked("/no")]).toEqual([false, true, false]);
  });

  it("say what is missing as upstream shows it", () => {
    const held: PolicyRule[] = [{ apiGroups: [""], resources: ["pods"], verbs: ["get", "list"] }];
    const wanted: PolicyRule[] = [
      { apiGroups: [""], resources: ["pods", "secrets"], verbs: ["get", "delete", "watch"] },
      { nonResourceURLs: ["/metrics"], verbs: ["get"] },
    ];
    expect(compactRules(missingRules(held, wanted).parts).map(ruleText).sort()).toEqual([
      '{APIGroups:[""], Resources:["pods"], Verbs:["delete" "watch"]}',
      '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete" "watch"]}',
      '{NonResourceURLs:["/metrics"], Verbs:["get"]}',
    ]);
    const all = [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }];
    expect(missingRules(all, wanted.slice(0, 1)).parts).toEqual([]);
  });

  it("are compared without multiplying their lists", () => {
    const many = Array.from({ length: 600 }, (_, i) => `x${i}`);
    const wide: PolicyRule = { apiGroups: many, resources: many, verbs: many };
    expect(() => missingRules([], [wide])).toThrow(/^the rules have 216000000 combinations/);
    expect(() => missingRules([], [{ nonResourceURLs: many, verbs: many }])).toThrow(/^the rules have 360000 comb/);
    expect(() => missingRules([], [{ ...wide, resources: ["a"], resourceNames: many }])).toThrow(/216000000/);
    // Whoever holds it all in one rule needs no taking apart.
    for (const held of [wide, { apiGroups: ["*"], resources: ["*"], verbs: ["*"] }])
      expect(missingRules([held], [wide])).toEqual({ parts: [], more: false });
    const some = missingRules([], [{ apiGroups: [""], resources: many, verbs: ["get", "list"] }]);
    expect([some.parts.length, some.more]).toEqual([1000, true]);
    // The same value many times is one.
    expect(missingRules([], [{ apiGroups: many.map(() => ""), resources: ["a"], verbs: ["get"] }]).parts).toHaveLength(
      1,
    );
  });

  it("cover what several rules hold together, and names only by name", () => {
    const held: PolicyRule[] = [
      { apiGroups: [""], resources: ["pods"], verbs: ["get"] },
      { apiGroups: [""], resources: ["pods", "*/log"], verbs: ["list"], resourceNames: ["a"] },
    ];
    const missing = (rule: PolicyRule) => missingRules(held, [{ apiGroups: [""], ...rule }]).parts;
    expect(missing({ resources: ["pods"], verbs: ["get", "list"], resourceNames: ["a"] })).toEqual([]);
    expect(missing({ resources: ["pods/log"], verbs: ["list"], resourceNames: ["a", "b"] })).toEqual([
      { apiGroups: [""], resources: ["pods/log"], verbs: ["list"], resourceNames: ["b"] },
    ]);
    expect(missing({ resources: ["pods"], verbs: ["list"] })).toHaveLength(1);
  });
});

const binding = (kind: string, namespace: string, name: string, role: string, subjects: object[]): StoredObject => ({
  apiVersion: `${group}/v1`,
  kind,
  metadata: { name, ...(namespace ? { namespace } : {}) },
  roleRef: { apiGroup: group, kind: "ClusterRole", name: role },
  subjects,
});

function put(store: Store, object: StoredObject): void {
  const { namespace, name } = object.metadata;
  const plural = `${object.kind.toLowerCase()}s.${group}`;
  store.put(plural, namespace ? `${namespace}/${name}` : name, object);
}

describe("role-based access control", () => {
  const role = (name: string): StoredObject => ({
    apiVersion: `${group}/v1`,
    kind: "ClusterRole",
    metadata: { name },
    rules: [{ apiGroups: [""], resources: [name], verbs: ["get"] }],
  });

  it("says by which binding, and which role is missing", () => {
    const store = new Store();
    put(store, role("pods"));
    put(store, binding("ClusterRoleBinding", "", "readers", "pods", [{ kind: "Group", name: "team" }]));
    put(store, binding("RoleBinding", "a", "lost", "gone", [{ kind: "ServiceAccount", name: "bot", namespace: "b" }]));
    const rbac = new Rbac(store);
    expect(rbac.decide({ name: "jane", groups: ["team"] }, can("get", "pods"))).toEqual({
      allowed: true,
      reason: 'RBAC: allowed by ClusterRoleBinding "readers" of ClusterRole "pods" to Group "team"',
    });
    const bot = { name: "system:serviceaccount:b:bot", groups: [] };
    expect(rbac.decide(bot, can("get", "pods", { namespace: "a" }))).toEqual({
      allowed: false,
      reason: 'RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found',
    });
    put(store, binding("RoleBinding", "a", "lost", "pods", [{ kind: "ServiceAccount", name: "bot", namespace: "b" }]));
    expect(rbac.decide(bot, can("get", "pods", { namespace: "a" })).allowed).toBe(true);
    expect(rbac.decide(bot, can("get", "pods", { namespace: "b" })).allowed).toBe(false);
  });

  it("decides as a walk over all bindings would, whatever was written before (property)", () => {
    const names = fc.constantFrom("u1", "u2", "u3");
    const change = fc.record({
      namespace: fc.constantFrom("", "n1", "n2"),
      name: fc.constantFrom("b1", "b2", "b3"),
      role: fc.constantFrom("pods", "secrets", "missing"),
      subjects: fc.array(fc.record({ kind: fc.constantFrom("User", "Group"), name: names }), { maxLength: 3 }),
      remove: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
        const store = new Store({ historyLimit: 4 });
        for (const name of ["pods", "secrets"]) put(store, role(name));
        const rbac = new Rbac(store);
        const live = new Map<string, (typeof changes)[number]>();
        changes.forEach((c, i) => {
          const key = `${c.namespace}/${c.name}`;
          const kind = c.namespace ? "RoleBinding" : "ClusterRoleBinding";
          if (c.remove) store.remove(`${kind.toLowerCase()}s.${group}`, c.namespace ? key : c.name);
          else put(store, binding(kind, c.namespace, c.name, c.role, c.subjects));
          if (c.remove) live.delete(key);
          else live.set(key, c);
          // Looking only now and then lets changes pile up past what the store remembers.
          if (i % 6 !== 5) return;
          for (const namespace of ["", "n1", "n2"])
            for (const resource of ["pods", "secrets"])
              for (const [user, groups] of [
                ["u1", []],
                ["u2", ["u3"]],
              ] as const) {
                const expected = [...live.values()].some(
                  (b) =>
                    (b.namespace === "" || b.namespace === namespace) &&
                    b.role === resource &&
                    b.subjects.some((s) =>
                      s.kind === "User" ? s.name === user : (groups as readonly string[]).includes(s.name),
                    ),
                );
                const decision = rbac.decide({ name: user, groups }, can("get", resource, { namespace }));
                expect(decision.allowed).toBe(expected);
              }
        });
      }),
      { seed: 1 },
    );
  });

  it("looks at the bindings of the user alone, however many others there are", () => {
    const store = new Store();
    put(store, role("pods"));
    let looked = 0;
    const counting = new Proxy(store, {
      get(target, property) {
        const value = Reflect.get(target, property) as unknown;
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          if (property === "get") looked++;
          return value.apply(target, args);
        };
      },
    });
    for (let i = 0; i < 5000; i++)
      put(store, binding("RoleBinding", "n", `b${i}`, "pods", [{ kind: "User", name: `u${i}` }]));
    const rbac = new Rbac(counting);
    expect(rbac.decide({ name: "u42", groups: [] }, can("get", "pods", { namespace: "n" })).allowed).toBe(true);
    expect(looked).toBe(1);
  });
});
