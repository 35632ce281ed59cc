import { isNotFound, keyOf, resources, type Secret, type ServiceAccount, type TokenRequest } from "#api/index.ts";
import type { ControllerContext } from "../context.ts";

/** Secrets of this type hold a token of the account that their annotation names. */
const tokenType = "kubernetes.io/service-account-token";
const nameAnnotation = "kubernetes.io/service-account.name";
const uidAnnotation = "kubernetes.io/service-account.uid";
/** The longest life that TokenRequest knows: such tokens end with their Secret or account. */
const longestSeconds = 2 ** 32;

/** What a token Secret needs. */
export type TokenSecretPlan =
  | { readonly action: "keep" }
  /** Its account is gone, or is another one by now. */
  | { readonly action: "delete" }
  | { readonly action: "fill"; readonly needsToken: boolean };

/** Compares a Secret with its account. @param caPem of the cluster */
export function planTokenSecret(secret: Secret, account: ServiceAccount | undefined, caPem: string): TokenSecretPlan {
  const { annotations = {}, deletionTimestamp } = secret.metadata;
  if (secret.type !== tokenType || deletionTimestamp !== undefined) return { action: "keep" };
  const uid = annotations[uidAnnotation];
  if (!account || (uid !== undefined && uid !== "" && uid !== account.metadata.uid)) return { action: "delete" };
  const { token, "ca.crt": ca, namespace } = secret.data ?? {};
  const whole = uid && token && ca === base64(caPem) && namespace === base64(secret.metadata.namespace ?? "");
  return whole ? { action: "keep" } : { action: "fill", needsToken: !token };
}

/** Fills Secrets that ask for a ServiceAccount's token, and removes them with the account. */
export function tokensController(context: ControllerContext): void {
  const secrets = context.informer(resources.secrets, { fieldSelector: `type=${tokenType}` });
  const accounts = context.informer(resources.serviceAccounts);
  const queue = context.control({
    name: "serviceaccount-tokens",
    needs: [secrets, accounts],
    handle: async (key) => {
      const secret = secrets.get(key);
      if (!secret) return;
      const account = await live(context, accounts.get(accountKey(secret)), secret);
      const plan = planTokenSecret(secret, account, context.options.clusterCaPem);
      try {
        if (plan.action === "delete") await remove(context, secret);
        if (plan.action === "fill" && account) secrets.assume(await fill(context, secret, account, plan.needsToken));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },
  });
  secrets.onChange(({ object }) => queue.add(keyOf(object)));
  accounts.onChange(({ object }) => {
    for (const secret of secrets.list()) if (accountKey(secret) === keyOf(object)) queue.add(keyOf(secret));
  });
}

function accountKey({ metadata }: Secret): string {
  return `${metadata.namespace}/${metadata.annotations?.[nameAnnotation]}`;
}

/** The cache may be behind: an account counts as missing only when the API server says so. */
async function live(
  { client }: ControllerContext,
  known: ServiceAccount | undefined,
  { metadata }: Secret,
): Promise<ServiceAccount | undefined> {
  const name = metadata.annotations?.[nameAnnotation];
  if (known || !name) return known;
  try {
    return await client.get(resources.serviceAccounts, name, metadata.namespace);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function remove({ client }: ControllerContext, { metadata }: Secret): Promise<void> {
  const { name, namespace, uid, resourceVersion } = metadata;
  await client.delete(resources.secrets, name, namespace, { preconditions: { uid, resourceVersion } });
}

async function fill(
  context: ControllerContext,
  secret: Secret,
  account: ServiceAccount,
  needsToken: boolean,
): Promise<Secret> {
  const { name, namespace = "", uid, resourceVersion, annotations } = secret.metadata;
  const token = needsToken ? { token: base64(await requestToken(context, secret, account)) } : {};
  const { clusterCaPem } = context.options;
  const data = { ...secret.data, "ca.crt": base64(clusterCaPem), namespace: base64(namespace), ...token };
  const marks = { ...annotations, [uidAnnotation]: account.metadata.uid };
  const patch = { metadata: { uid, resourceVersion, annotations: marks }, data };
  return await context.client.patch(resources.secrets, name, namespace, patch, { type: "merge" });
}

/** A token bound to the Secret: it ends with it. */
async function requestToken({ client }: ControllerContext, secret: Secret, account: ServiceAccount): Promise<string> {
  const { name, namespace = "", uid } = secret.metadata;
  const body = {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    spec: { expirationSeconds: longestSeconds, boundObjectRef: { apiVersion: "v1", kind: "Secret", name, uid } },
  };
  const options = { subresource: "token", namespace };
  const answer = await client.post<TokenRequest>(resources.serviceAccounts, account.metadata.name, body, options);
  return answer.status?.token ?? "";
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
