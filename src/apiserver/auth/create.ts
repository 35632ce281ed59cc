import type { ApiServerOptions, AuthorizationMode } from "../options.ts";
import type { Store } from "../store/index.ts";
import type { PluginCheck } from "./admission.ts";
import type { Authorizer } from "./attributes.ts";
import { Authenticator } from "./authenticate.ts";
import { Authority } from "./authority.ts";
import { Authorizers, alwaysAllow, alwaysDeny } from "./authorize.ts";
import { approvalCheck, signingCheck, subjectCheck } from "./certificates.ts";
import { escalationCheck } from "./escalation.ts";
import { namespaceLifecycle } from "./namespace-lifecycle.ts";
import { NodeAuthorizer } from "./node-authorizer.ts";
import { NodeGraph } from "./node-graph.ts";
import { nodeRestriction } from "./node-restriction.ts";
import { Rbac } from "./rbac.ts";
import { TokenIssuer } from "./tokens.ts";

/** The parts that say who asks and what they may. */
export interface Auth {
  readonly tokens: TokenIssuer;
  readonly rbac: Rbac;
  readonly authority: Authority;
  readonly admission: readonly PluginCheck[];
}

/** Puts the parts together as the options say. */
export function createAuth(store: Store, options: ApiServerOptions): Auth {
  const tokens = tokenIssuer(options);
  const rbac = new Rbac(store);
  const makers: Readonly<Record<AuthorizationMode, () => Authorizer>> = {
    Node: () => new NodeAuthorizer(new NodeGraph(store)),
    RBAC: () => rbac,
    AlwaysAllow: () => alwaysAllow,
    AlwaysDeny: () => alwaysDeny,
  };
  const modes = options.authorization ?? ["Node", "RBAC"];
  const authorizer = new Authorizers(modes.map((mode) => makers[mode]()));
  const authenticator = new Authenticator({ tokens, store }, options.authentication ?? {});
  const admission: PluginCheck[] = [
    { plugin: "NamespaceLifecycle", check: namespaceLifecycle },
    { plugin: "NodeRestriction", check: nodeRestriction(store) },
    { plugin: "CertificateApproval", check: approvalCheck(authorizer) },
    { plugin: "CertificateSigning", check: signingCheck(authorizer) },
    { plugin: "CertificateSubjectRestriction", check: subjectCheck },
    ...(modes.includes("RBAC") ? [{ check: escalationCheck({ rbac, authorizer }) }] : []),
  ];
  return { tokens, rbac, authority: new Authority({ authenticator, authorizer }), admission };
}

function tokenIssuer({ serviceAccounts: given, advertiseAddress, securePort }: ApiServerOptions): TokenIssuer {
  const host = advertiseAddress.includes(":") ? `[${advertiseAddress}]` : advertiseAddress;
  const { audiences, signingKey, maxSeconds, extend } = given;
  return new TokenIssuer({
    issuers: [given.issuer, ...(given.otherIssuers ?? [])],
    verificationKeys: given.verificationKeys ?? [],
    jwksUri: given.jwksUri ?? `https://${host}:${securePort}/openid/v1/jwks`,
    ...(audiences ? { audiences } : {}),
    ...(signingKey ? { signingKey } : {}),
    ...(maxSeconds === undefined ? {} : { maxSeconds }),
    ...(extend === undefined ? {} : { extend }),
  });
}
