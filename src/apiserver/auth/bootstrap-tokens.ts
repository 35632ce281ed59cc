import { createHash, timingSafeEqual } from "node:crypto";
import type { User } from "../kinds/definition.ts";
import type { Store } from "../store/index.ts";

const tokenForm = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const groupForm = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

/**
 * The user of a bootstrap token, which a Secret `bootstrap-token-<id>` in kube-system holds
 * (kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens); undefined for any other token.
 */
export function bootstrapUser(store: Store, token: string, now: number): User | undefined {
  const [, id, secret] = tokenForm.exec(token) ?? [];
  if (!id || !secret) return undefined;
  const found = store.get("secrets", `kube-system/bootstrap-token-${id}`)?.object;
  if (found?.type !== "bootstrap.kubernetes.io/token" || found.metadata.deletionTimestamp !== undefined)
    return undefined;
  const data = (found.data ?? {}) as Record<string, string>;
  const value = (key: string) => Buffer.from(data[key] ?? "", "base64").toString();
  if (!same(value("token-secret"), secret) || value("token-id") !== id) return undefined;
  const expiration = value("expiration");
  if (expiration && !(Date.parse(expiration) > now)) return undefined;
  if (value("usage-bootstrap-authentication") !== "true") return undefined;
  const extra = value("auth-extra-groups").split(",").filter(Boolean);
  if (extra.some((group) => !groupForm.test(group))) return undefined;
  return { name: `system:bootstrap:${id}`, groups: ["system:bootstrappers", ...extra] };
}

function same(a: string, b: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
