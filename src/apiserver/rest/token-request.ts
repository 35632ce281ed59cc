import { nodeOf } from "../auth/node-authorizer.ts";
import type { TokenBinding, TokenIssuer, TokenSubject } from "../auth/tokens.ts";
import { badRequest, conflict, FieldErrors, forbidden, methodNotAllowed, notFound, StatusError } from "../errors.ts";
import { isDict, keyOf, type StoredObject } from "../object.ts";
import { readObject } from "./body.ts";
import { jsonReply, type Reply } from "./call.ts";
import type { KindCall } from "./handler.ts";
import type { SubresourceDeps } from "./subresource-deps.ts";
import { timestamp } from "./time.ts";

/** Life of a requested token in seconds (pkg/apis/authentication/validation). */
const tokenSeconds = { least: 600, ordinary: 3600, most: 2 ** 32 };
/** What kubelets ask for by default, and what such tokens get where they are extended: agents may not reload them. */
const extension = { asked: 3607, given: 365 * 24 * 3600 };

interface BoundObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly name?: string;
  readonly uid?: string;
}

interface TokenSpec {
  readonly audiences?: readonly string[];
  readonly expirationSeconds?: number;
  readonly boundObjectRef?: BoundObject;
}

/** Issues a token for a ServiceAccount, bound to a pod, node or secret when asked to. */
export async function issueToken(deps: SubresourceDeps, request: KindCall): Promise<Reply> {
  const { kind, info, call } = request;
  if (info.verb !== "create") throw methodNotAllowed();
  const expected = {
    schema: deps.schema,
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    type: "authentication.v1.TokenRequest",
  };
  const asked = await readObject(call, expected, { validation: "Ignore", warn: () => {} });
  const account = deps.store.get(kind.storage, keyOf(info.namespace, info.name))?.object;
  if (!account) throw notFound(kind, info.name);
  const spec = (isDict(asked.spec) ? asked.spec : {}) as TokenSpec;
  const seconds = secondsOf(request, deps.tokens, asked, spec);
  onNode(deps, request, spec.boundObjectRef);
  const audiences = spec.audiences?.length ? spec.audiences : deps.tokens.audiences;
  const bound = spec.boundObjectRef && bind(deps, request, spec.boundObjectRef);
  const now = Date.now();
  const extended =
    deps.tokens.options.extend !== false &&
    bound?.bound?.kind === "Pod" &&
    seconds === extension.asked &&
    audiences.every((a) => deps.tokens.audiences.includes(a));
  const subject: TokenSubject = {
    ...{ namespace: info.namespace, name: info.name, uid: account.metadata.uid as string, audiences },
    ...(extended ? { seconds: extension.given, warnAfter: seconds } : { seconds }),
    ...bound,
  };
  const token = issued(deps.tokens, subject, now);
  const expirationTimestamp = `${new Date(now + seconds * 1000).toISOString().slice(0, 19)}Z`;
  return jsonReply(
    {
      ...asked,
      metadata: { name: info.name, namespace: info.namespace, creationTimestamp: timestamp() },
      spec: { ...spec, audiences, expirationSeconds: seconds, boundObjectRef: spec.boundObjectRef ?? null },
      status: { token, expirationTimestamp },
    },
    201,
  );
}

function issued(tokens: TokenIssuer, subject: TokenSubject, now: number): string {
  try {
    return tokens.issue(subject, now);
  } catch (error) {
    throw new StatusError(
      500,
      "InternalError",
      `Internal error occurred: failed to generate token: ${(error as Error).message}`,
    );
  }
}

/** The checked life of the token. Throws StatusError 422. */
function secondsOf(request: KindCall, tokens: TokenIssuer, asked: object, spec: TokenSpec): number {
  const seconds = spec.expirationSeconds ?? tokenSeconds.ordinary;
  const { name, namespace } = ((asked as Partial<StoredObject>).metadata ?? {}) as {
    name?: string;
    namespace?: string;
  };
  const errors = new FieldErrors();
  if (name && name !== request.info.name)
    errors.invalid("metadata.name", name, "must match the service account name if specified");
  if (namespace && namespace !== request.info.namespace)
    errors.invalid("metadata.namespace", namespace, "must match the service account namespace if specified");
  if (seconds < tokenSeconds.least)
    errors.invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes");
  if (seconds > tokenSeconds.most)
    errors.invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds");
  errors.throwIfAny("TokenRequest", "authentication.k8s.io", "");
  const most = tokens.options.maxSeconds ?? 0;
  if (most === 0 || seconds <= most) return seconds;
  request.warnings.push(`requested expiration of ${seconds} seconds shortened to ${most} seconds`);
  return most;
}

/** A node's agent gets tokens only for its pods, bound to them (NodeRestriction). */
function onNode(deps: SubresourceDeps, { kind, info, user }: KindCall, ref: BoundObject | undefined): void {
  const node = nodeOf(user);
  if (node === undefined) return;
  const refuse = (why: string) => forbidden(kind, info.name, why);
  if (ref?.apiVersion !== "v1" || ref.kind !== "Pod" || !ref.name)
    throw refuse("node requested token not bound to a pod");
  if (!ref.uid) throw refuse("node requested token with a pod binding without a uid");
  const pod = deps.store.get("pods", keyOf(info.namespace, ref.name))?.object;
  if (!pod) throw notFound({ group: "", plural: "pods" }, ref.name);
  if (pod.metadata.uid !== ref.uid) throw refuse(uidMismatch(ref.uid));
  if ((pod.spec as { nodeName?: string }).nodeName !== node)
    throw refuse("node requested token bound to a pod scheduled on a different node");
}

const uidMismatch = (uid: string): string =>
  `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`;

/** Looks up what the token is to be bound to; a pod's token names the pod's node too. Throws StatusError. */
function bind(deps: SubresourceDeps, { info }: KindCall, ref: BoundObject): Pick<TokenSubject, "bound" | "node"> {
  const [group = "", version = ""] = ref.apiVersion?.includes("/") ? ref.apiVersion.split("/") : ["", ref.apiVersion];
  const { name = "", kind = "" } = ref;
  if (group !== "" || (kind !== "Pod" && kind !== "Node" && kind !== "Secret"))
    throw badRequest(`cannot bind token to object of type ${group}/${version}, Kind=${kind}`);
  const plural = `${kind.toLowerCase()}s`;
  const object = deps.store.get(plural, kind === "Node" ? name : keyOf(info.namespace, name))?.object;
  if (!object) throw notFound({ group: "", plural }, name);
  const spec = (object.spec ?? {}) as { nodeName?: string; serviceAccountName?: string };
  if (kind === "Pod" && spec.serviceAccountName !== info.name)
    throw badRequest(
      `cannot bind token for serviceaccount "${info.name}" to pod running with serviceaccount "${spec.serviceAccountName ?? ""}"`,
    );
  const uid = object.metadata.uid as string;
  if (ref.uid && ref.uid !== uid) throw conflict({ group: "", plural: kind }, name, uidMismatch(ref.uid));
  const bound: TokenBinding = { kind, name, uid };
  if (kind !== "Pod" || !spec.nodeName) return { bound };
  const node = deps.store.get("nodes", spec.nodeName)?.object.metadata;
  return { bound, node: { name: spec.nodeName, ...(node?.uid ? { uid: node.uid } : {}) } };
}
