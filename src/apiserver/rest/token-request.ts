import { methodNotAllowed, notFound, StatusError } from "../errors.ts";
import { isDict } from "../object.ts";
import { readObject } from "./body.ts";
import { jsonReply, type Reply } from "./call.ts";
import type { KindCall } from "./handler.ts";
import { keyOf } from "./objects.ts";
import type { SubresourceDeps } from "./subresource-deps.ts";
import { timestamp } from "./time.ts";

/** Life of a requested token in seconds (kube-apiserver's limits and default). */
const tokenSeconds = { least: 600, ordinary: 3600, most: 2 ** 32 };

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
  const spec = (isDict(asked.spec) ? asked.spec : {}) as {
    audiences?: string[];
    expirationSeconds?: number;
    boundObjectRef?: { kind: "Pod" | "Node" | "Secret"; name: string; uid?: string };
  };
  const seconds = spec.expirationSeconds ?? tokenSeconds.ordinary;
  if (seconds < tokenSeconds.least || seconds > tokenSeconds.most) {
    const text =
      seconds < tokenSeconds.least
        ? "may not specify a duration less than 10 minutes"
        : "may not specify a duration larger than 2^32 seconds";
    throw new StatusError(
      422,
      "Invalid",
      `TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: ${seconds}: ${text}`,
    );
  }
  const audiences = spec.audiences?.length ? spec.audiences : [deps.tokens.issuer];
  const bound = spec.boundObjectRef ? bindingOf(deps, info.namespace, spec.boundObjectRef) : undefined;
  const subject = {
    namespace: info.namespace,
    name: info.name,
    uid: account.metadata.uid as string,
    audiences,
    seconds,
  };
  const { token, expires } = deps.tokens.issue(
    { ...subject, ...(bound ? { bound: bound.binding, ...(bound.node ? { node: bound.node } : {}) } : {}) },
    Date.now(),
  );
  return jsonReply(
    {
      ...asked,
      metadata: {
        name: info.name,
        namespace: info.namespace,
        creationTimestamp: timestamp(),
      },
      spec: { ...spec, audiences, expirationSeconds: seconds },
      status: { token, expirationTimestamp: expires },
    },
    201,
  );
}

function bindingOf(
  deps: SubresourceDeps,
  namespace: string,
  ref: { kind: "Pod" | "Node" | "Secret"; name: string; uid?: string },
) {
  const plural = `${ref.kind.toLowerCase()}s`;
  const object = deps.store.get(plural, ref.kind === "Node" ? ref.name : keyOf(namespace, ref.name))?.object;
  if (!object) throw notFound({ group: "", plural }, ref.name);
  const uid = object.metadata.uid as string;
  if (ref.uid && ref.uid !== uid) {
    throw new StatusError(
      409,
      "Conflict",
      `Operation cannot be fulfilled on ${plural} "${ref.name}": the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  const nodeName = (object.spec as { nodeName?: string } | undefined)?.nodeName;
  const node = ref.kind === "Pod" && nodeName ? deps.store.get("nodes", nodeName)?.object : undefined;
  const binding = { kind: ref.kind, name: ref.name, uid };
  return node
    ? { binding, node: { name: node.metadata.name, uid: node.metadata.uid as string } }
    : { binding, node: undefined };
}
