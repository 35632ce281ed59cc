import type { Authority } from "../auth/authenticate.ts";
import type { Attributes, Rbac } from "../auth/rbac.ts";
import { badRequest, methodNotAllowed } from "../errors.ts";
import type { User } from "../kinds/definition.ts";
import { apiVersionOf } from "../kinds/registry.ts";
import type { Review } from "../kinds/reviews.ts";
import type { Dict } from "../object.ts";
import type { Schema } from "../schema/schema.ts";
import { readObject } from "./body.ts";
import { type Call, jsonReply, type Reply } from "./call.ts";
import type { RequestInfo } from "./request-info.ts";

interface ReviewSpec {
  resourceAttributes?: {
    verb?: string;
    group?: string;
    resource?: string;
    subresource?: string;
    namespace?: string;
    name?: string;
  };
  nonResourceAttributes?: { verb?: string; path?: string };
  user?: string;
  groups?: string[];
  uid?: string;
  token?: string;
  audiences?: string[];
  namespace?: string;
}

/** What the answers come from. */
export interface ReviewDeps {
  readonly schema: Schema;
  readonly rbac: Rbac;
  readonly authority: Authority;
  /** Audience of this server's own tokens. */
  readonly issuer: string;
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
        return this.#access(spec, user);
      case "SelfSubjectRulesReview":
        return this.#rules(spec.namespace ?? "", user);
      case "LocalSubjectAccessReview":
        if (spec.resourceAttributes?.namespace !== info.namespace)
          throw badRequest("spec.resourceAttributes.namespace must match metadata.namespace");
        return this.#access(spec, subjectOf(spec));
      default:
        return this.#access(spec, subjectOf(spec));
    }
  }

  #access(spec: ReviewSpec, user: User): Dict {
    const { resourceAttributes: r, nonResourceAttributes: n } = spec;
    if (!r === !n)
      throw badRequest(
        "spec.resourceAttributes: Invalid value: exactly one of nonResourceAttributes or resourceAttributes must be specified",
      );
    const wanted: Attributes = {
      verb: r?.verb ?? n?.verb ?? "",
      resource: r?.resource ?? "",
      subresource: r?.subresource ?? "",
      group: r?.group ?? "",
      namespace: r?.namespace ?? "",
      name: r?.name ?? "",
      path: n?.path ?? "",
    };
    return { allowed: this.#deps.rbac.allows(user, wanted) };
  }

  #rules(namespace: string, user: User): Dict {
    const rules = [...this.#deps.rbac.rulesFor(user, namespace)];
    return {
      incomplete: false,
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
    };
  }

  #token(spec: ReviewSpec): Dict {
    const audiences = spec.audiences?.length ? spec.audiences : [this.#deps.issuer];
    const user = this.#deps.authority.verifyToken(spec.token ?? "", audiences);
    if (!user) return { authenticated: false, error: "invalid bearer token", user: {} };
    return { authenticated: true, user: userInfo(user), audiences };
  }
}

function subjectOf(spec: ReviewSpec): User {
  return { name: spec.user ?? "", groups: spec.groups ?? [], ...(spec.uid ? { uid: spec.uid } : {}) };
}

function userInfo(user: User): Dict {
  return {
    username: user.name,
    ...(user.uid ? { uid: user.uid } : {}),
    groups: user.groups,
    ...(user.extra && Object.keys(user.extra).length ? { extra: user.extra } : {}),
  };
}
