import { parseFieldSelector } from "#api/index.ts";
import { forbidden, StatusError } from "../errors.ts";
import type { User } from "../kinds/definition.ts";
import type { RequestInfo } from "../rest/request-info.ts";

/** What somebody wants to do (authorization.k8s.io/v1 ResourceAttributes and NonResourceAttributes). */
export interface Attributes {
  readonly verb: string;
  /** Empty resource: a path. */
  readonly resource: string;
  readonly subresource: string;
  readonly group: string;
  readonly namespace: string;
  readonly name: string;
  readonly path: string;
  /** Fields that the request is narrowed to by equality. */
  readonly fields?: Readonly<Record<string, string>>;
}

/** What an authorizer says: whether, and why. An authorizer that does not allow leaves it to the next. */
export interface Decision {
  readonly allowed: boolean;
  readonly reason: string;
}

/** Says whether a user may do something. */
export interface Authorizer {
  decide(user: User, wanted: Attributes): Decision;
}

/** `{}` of attributes: nothing in particular. */
export const noAttributes: Attributes = {
  verb: "",
  resource: "",
  subresource: "",
  group: "",
  namespace: "",
  name: "",
  path: "",
};

/**
 * The parts of a field selector that are equalities: `a=b,c==d`; none of one that cannot be parsed. It is read as the
 * list itself reads it, escapes too, and a field that has to have two values at once is narrowed to neither: else one
 * could be allowed what one list shows and be shown another.
 */
export function exactFields(selector: string): Readonly<Record<string, string>> {
  const fields = new Map<string, string | undefined>();
  for (const { field, equal, value } of comparisonsOf(selector)) {
    if (equal) fields.set(field, fields.has(field) && fields.get(field) !== value ? undefined : value);
  }
  const known = [...fields].filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(known);
}

function comparisonsOf(selector: string): ReturnType<typeof parseFieldSelector> {
  try {
    return parseFieldSelector(selector);
  } catch {
    return [];
  }
}

/** What authorisation is asked about a request; a list of one name counts as one of that name (requestinfo.go). */
export function attributesOf(info: RequestInfo): Attributes {
  const { verb, resource, subresource, group, namespace, name, path } = info;
  if (!info.isResource) return { ...noAttributes, verb, path };
  const plain = { verb, resource, subresource, group, namespace, name, path };
  const selector = info.query.get("fieldSelector");
  if (!selector || !["list", "watch", "deletecollection"].includes(verb)) return plain;
  const fields = exactFields(selector);
  const only = verb === "deletecollection" ? undefined : fields["metadata.name"];
  return { ...plain, name: name || only || "", fields };
}

/** The 403 with upstream's text (apiserver/pkg/endpoints/handlers/responsewriters). */
export function refusal(user: User, wanted: Attributes, reason = ""): StatusError {
  const { verb, resource, subresource, group, namespace, name } = wanted;
  const why = reason ? `: ${reason}` : "";
  if (resource === "") {
    const text = `forbidden: User "${user.name}" cannot ${verb} path "${wanted.path}"${why}`;
    return new StatusError(403, "Forbidden", text, {});
  }
  const full = subresource ? `${resource}/${subresource}` : resource;
  const scope = namespace ? `in the namespace "${namespace}"` : "at the cluster scope";
  return forbidden(
    { group, plural: resource },
    name,
    `User "${user.name}" cannot ${verb} resource "${full}" in API group "${group}" ${scope}${why}`,
  );
}
