import { StatusError } from "../errors.ts";
import type { User } from "../kinds/definition.ts";
import type { Call } from "../rest/call.ts";
import { type Attributes, type Authorizer, noAttributes, refusal } from "./attributes.ts";
import { anonymous } from "./authenticate.ts";

const authenticationGroup = "authentication.k8s.io";
const extraPrefix = "impersonate-extra-";
const serviceAccount = /^system:serviceaccount:([^:]+):([^:]+)$/;

interface Wish {
  readonly name: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/**
 * The user that a request wants to be taken for (Impersonate-User, -Group, -Uid, -Extra-…), which the asking user must
 * be allowed: one permission for each part. Throws StatusError 403, and 500 for parts without a user, as upstream.
 */
export function impersonate(authorizer: Authorizer, user: User, call: Call): User {
  const wish = wishOf(call);
  if (!wish) return user;
  for (const wanted of permissions(wish)) {
    const { allowed, reason } = authorizer.decide(user, { ...noAttributes, verb: "impersonate", ...wanted });
    if (!allowed) throw refusal(user, { ...noAttributes, verb: "impersonate", ...wanted }, reason);
  }
  const { name, uid, extra } = wish;
  return {
    name,
    ...(uid ? { uid } : {}),
    groups: groupsOf(wish),
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  };
}

function wishOf(call: Call): Wish | undefined {
  const all = (name: string): readonly string[] =>
    call.headerValues?.(name) ?? (call.headers[name] === undefined ? [] : [call.headers[name]]);
  const name = call.headers["impersonate-user"] ?? "";
  const uid = call.headers["impersonate-uid"] ?? "";
  const groups = all("impersonate-group");
  const extra: Record<string, readonly string[]> = {};
  for (const header of Object.keys(call.headers)) {
    if (header.startsWith(extraPrefix)) extra[decoded(header.slice(extraPrefix.length))] = all(header);
  }
  if (name) return { name, uid, groups, extra };
  if (!uid && groups.length === 0 && Object.keys(extra).length === 0) return undefined;
  const parts = [
    ...groups.map((group) => `{Group  ${group}    }`),
    ...Object.entries(extra).flatMap(([key, values]) =>
      values.map((value) => `{UserExtra  ${value}  ${authenticationGroup}/v1  ${key}}`),
    ),
    ...(uid ? [`{UID  ${uid}  ${authenticationGroup}/v1  }`] : []),
  ];
  const text = `requested [${parts.join(" ")}] without impersonating a user`;
  throw new StatusError(500, "InternalError", `Internal error occurred: ${text}`, { causes: [{ message: text }] });
}

function* permissions({ name, uid, groups, extra }: Wish): Generator<Partial<Attributes>> {
  const [, namespace, account] = serviceAccount.exec(name) ?? [];
  if (namespace && account) yield { resource: "serviceaccounts", namespace, name: account };
  else yield { resource: "users", name };
  for (const group of groups) yield { resource: "groups", name: group };
  for (const [key, values] of Object.entries(extra))
    for (const value of values)
      yield { group: authenticationGroup, resource: "userextras", subresource: key, name: value };
  if (uid) yield { group: authenticationGroup, resource: "uids", name: uid };
}

/** Groups that go without saying are added unless the caller said one of them. */
function groupsOf({ name, groups }: Wish): string[] {
  const [, namespace] = serviceAccount.exec(name) ?? [];
  const implied =
    namespace && groups.length === 0 ? ["system:serviceaccounts", `system:serviceaccounts:${namespace}`] : [];
  const all = [...groups, ...implied];
  if (name === anonymous.name) return all.includes("system:unauthenticated") ? all : [...all, "system:unauthenticated"];
  const said = all.includes("system:authenticated") || all.includes("system:unauthenticated");
  return said ? all : [...all, "system:authenticated"];
}

/** Keys are percent-encoded, since header names have few characters; one that is not stays as it is. */
function decoded(key: string): string {
  try {
    return decodeURIComponent(key).toLowerCase();
  } catch {
    return key;
  }
}
