import { type Attributes, type Authorizer, exactFields, noAttributes } from "../auth/attributes.ts";
import type { Authenticator } from "../auth/authenticate.ts";
import { nodeOf } from "../auth/node-authorizer.ts";
import type { Rbac } from "../auth/rbac.ts";
import { badRequest, FieldErrors, methodNotAllowed } from "../errors.ts";
import type { User } from "../kinds/definition.ts";
import { apiVersionOf } from "../kinds/registry.ts";
import type { Review } from "../kinds/reviews.ts";
import type { Dict } from "../object.ts";
import type { Schema } from "../schema/schema.ts";
import { readObject } from "./body.ts";
import { type Call, jsonReply, type Reply } from "./call.ts";
import type { RequestInfo } from "./request-info.ts";

interface SelectorAttributes {
  rawSelector?: string;
  requirements?: { key?: string; operator?: string; values?: string[] }[];
}

interface ResourceAttributes {
  verb?: string;
  group?: string;
  resource?: string;
  subresource?: string;
  namespace?: string;
  name?: string;
  fieldSelector?: SelectorAttributes;
  labelSelector?: SelectorAttributes;
}

interface ReviewSpec {
  resourceAttributes?: ResourceAttributes;
  nonResourceAttributes?: { verb?: string; path?: string };
  user?: string;
  groups?: string[];
  uid?: string;
  extra?: Record<string, string[]>;
  token?: string;
  audiences?: string[];
  namespace?: string;
}

/** What the answers come from. */
export interface ReviewDeps {
  readonly schema: Schema;
  readonly rbac: Rbac;
  readonly authorizer: Authorizer;
  readonly authenticator: Authenticator;
  /** Audiences of this server's own tokens. */
  readonly audiences: readonly string[];
}

/** Answers questions about who somebody is and what they may do. */
export class Reviews {
  readonly #deps: ReviewDeps;

  constructor(deps: ReviewDeps) {
    this.#deps = deps;
  }

  /** Answers a POST of a review. Throws StatusError. */
  async answer(review: Review, call: Call, user: User, info: RequestInfo): Promise<Reply> {
    if (info.verb !== "create") throw methodNotAllowed();
    const expected = {
      schema: this.#deps.schema,
      apiVersion: apiVersionOf(review),
      kind: review.kind,
      type: review.type,
    };
    const body = await readObject(call, expected, { validation: "Ignore", warn: () => {} });
    const spec = (body.spec ?? {}) as ReviewSpec;
    return jsonReply({ ...body, metadata: body.metadata ?? {}, status: this.#status(review, spec, user, info) }, 201);
  }

  #status(review: Review, spec: ReviewSpec, user: User, info: RequestInfo): Dict {
    switch (review.kind) {
      case "SelfSubjectReview":
        return { userInfo: userInfo(user) };
      case "TokenReview":
        return this.#token(spec);
      case "SelfSubjectAccessReview":
        return this.#access(review, spec, user);
      case "SelfSubjectRulesReview":
        return this.#rules(spec.namespace ?? "", user);
      case "LocalSubjectAccessReview":
        if (spec.resourceAttributes && (spec.resourceAttributes.namespace ?? "") !== info.namespace)
          throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${info.namespace}`);
        return this.#access(review, spec, subjectOf(spec));
      default:
        return this.#access(review, spec, subjectOf(spec));
    }
  }

  #access(review: Review, spec: ReviewSpec, user: User): Dict {
    validate(review, spec);
    const { allowed, reason } = this.#deps.authorizer.decide(user, attributesIn(spec));
    return { allowed, ...(reason ? { reason } : {}) };
  }

  #rules(namespace: string, user: User): Dict {
    if (namespace === "") throw badRequest("no namespace on request");
    const { rules, problem } = this.#deps.rbac.rulesFor(user, namespace);
    const problems = problem ? [problem] : [];
    if (nodeOf(user) !== undefined) problems.push("node authorizer does not support user rule resolution");
    return {
      resourceRules: rules
        .filter((r) => r.resources?.length)
        .map(({ verbs, apiGroups, resources, resourceNames }) => ({
          verbs,
          apiGroups,
          resources,
          ...(resourceNames ? { resourceNames } : {}),
        })),
      nonResourceRules: rules
        .filter((r) => r.nonResourceURLs?.length)
        .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
      incomplete: problems.length > 0,
      ...(problems.length > 0 ? { evaluationError: problems.join(", ") } : {}),
    };
  }

  #token(spec: ReviewSpec): Dict {
    if (!spec.token) throw badRequest("token is required for TokenReview in authentication");
    const audiences = spec.audiences?.length ? spec.audiences : this.#deps.audiences;
    const verified = this.#deps.authenticator.verifyToken(spec.token, audiences);
    if (!verified) return { user: {}, error: "invalid bearer token" };
    if ("problem" in verified) return { user: {}, error: `[invalid bearer token, ${verified.problem}]` };
    return { authenticated: true, user: userInfo(verified.user), audiences: verified.audiences };
  }
}

/** pkg/apis/authorization/validation. Throws StatusError 422. */
function validate(review: Review, spec: ReviewSpec): void {
  const { resourceAttributes: r, nonResourceAttributes: n } = spec;
  const errors = new FieldErrors();
  if (r && n)
    errors.invalid("spec.nonResourceAttributes", n, "cannot be specified in combination with resourceAttributes");
  if (!r && !n)
    errors.invalid(
      "spec.resourceAttributes",
      null,
      "exactly one of nonResourceAttributes or resourceAttributes must be specified",
    );
  if (review.kind !== "SelfSubjectAccessReview" && !spec.user && !spec.groups?.length)
    errors.invalid("spec.user", spec.user ?? "", "at least one of user or group must be specified");
  if (review.kind === "LocalSubjectAccessReview" && n)
    errors.invalid("spec.nonResourceAttributes", n, "disallowed on this kind of request");
  for (const field of ["fieldSelector", "labelSelector"] as const)
    if (r?.[field]) validateSelector(`spec.resourceAttributes.${field}`, r[field], errors);
  errors.throwIfAny(review.kind, review.group, "");
}

function validateSelector(path: string, selector: SelectorAttributes, errors: FieldErrors): void {
  const { rawSelector = "", requirements = [] } = selector;
  if (rawSelector && requirements.length > 0)
    errors.invalid(`${path}.rawSelector`, rawSelector, "may not specified at the same time as requirements");
  if (!rawSelector && requirements.length === 0)
    errors.required(`${path}.requirements`, `when ${path} is specified, requirements or rawSelector is required`);
  requirements.forEach(({ key, operator = "", values = [] }, i) => {
    if (!key) errors.required(`${path}.requirements[${i}].key`, "must be specified");
    const single = ["Exists", "DoesNotExist"].includes(operator);
    if (single && values.length > 0)
      errors.forbidden(
        `${path}.requirements[${i}].values`,
        "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
      );
    if (["In", "NotIn"].includes(operator) && values.length === 0)
      errors.required(`${path}.requirements[${i}].values`, "must be specified when `operator` is 'In' or 'NotIn'");
  });
}

function attributesIn({ resourceAttributes: r, nonResourceAttributes: n }: ReviewSpec): Attributes {
  if (!r) return { ...noAttributes, verb: n?.verb ?? "", path: n?.path ?? "" };
  const fields: Record<string, string> = { ...exactFields(r.fieldSelector?.rawSelector ?? "") };
  for (const { key, operator, values } of r.fieldSelector?.requirements ?? [])
    if (key && operator === "In" && values?.length === 1) fields[key] = values[0] as string;
  return {
    verb: r.verb ?? "",
    resource: r.resource ?? "",
    subresource: r.subresource ?? "",
    group: r.group ?? "",
    namespace: r.namespace ?? "",
    name: r.name ?? "",
    path: "",
    fields,
  };
}

function subjectOf(spec: ReviewSpec): User {
  return {
    name: spec.user ?? "",
    groups: spec.groups ?? [],
    ...(spec.uid ? { uid: spec.uid } : {}),
    ...(spec.extra ? { extra: spec.extra } : {}),
  };
}

function userInfo(user: User): Dict {
  return {
    username: user.name,
    ...(user.uid ? { uid: user.uid } : {}),
    groups: user.groups,
    ...(user.extra && Object.keys(user.extra).length ? { extra: user.extra } : {}),
  };
}
