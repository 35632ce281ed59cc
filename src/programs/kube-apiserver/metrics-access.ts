import { type Client, type KubeObject, resource } from "#api/index.ts";

interface TokenReview extends KubeObject {
  readonly spec: { readonly token: string };
  readonly status?: { readonly authenticated?: boolean; readonly user?: ReviewedUser };
}
interface ReviewedUser {
  readonly username?: string;
  readonly groups?: readonly string[];
}
interface SubjectAccessReview extends KubeObject {
  readonly spec: object;
  readonly status?: { readonly allowed?: boolean };
}

const tokenReviews = resource<TokenReview>("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", false);
const accessReviews = resource<SubjectAccessReview>(
  "authorization.k8s.io",
  "v1",
  "subjectaccessreviews",
  "SubjectAccessReview",
  false,
);

/** What a client may do: read metrics; or why not, with the status of the answer. */
export type Access = { readonly ok: true } | { readonly ok: false; readonly code: 401 | 403; readonly message: string };

/** Asks the API server whether the bearer of a token may GET /metrics, as upstream's programs do. */
export async function mayReadMetrics(client: Client, token: string | undefined): Promise<Access> {
  let user: ReviewedUser = { username: "system:anonymous", groups: ["system:unauthenticated"] };
  if (token !== undefined) {
    const { status } = await client.create(tokenReviews, { metadata: { name: "" }, spec: { token } });
    if (!status?.authenticated || !status.user) return { ok: false, code: 401, message: "Unauthorized" };
    user = status.user;
  }
  const { username = "", groups = [] } = user;
  const spec = { user: username, groups, nonResourceAttributes: { path: "/metrics", verb: "get" } };
  const { status } = await client.create(accessReviews, { metadata: { name: "" }, spec });
  if (status?.allowed) return { ok: true };
  return { ok: false, code: 403, message: `forbidden: User "${username}" cannot get path "/metrics"` };
}
