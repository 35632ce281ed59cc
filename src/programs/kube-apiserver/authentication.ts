import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { type AuthenticationOptions, TokenFile } from "#apiserver/index.ts";
import type { Flags } from "./flags.ts";

interface Configuration {
  kind?: string;
  apiVersion?: string;
  jwt?: unknown[];
  anonymous?: { enabled?: boolean; conditions?: { path?: string }[] };
}

/** How requests are authenticated, as the command line says. @throws Error naming the file that is wrong */
export function authenticationOptions(flags: Flags): AuthenticationOptions {
  const { tokenAuthFile, authenticationConfig, anonymousAuth } = flags;
  if (authenticationConfig && anonymousAuth !== undefined)
    throw new Error("--anonymous-auth and the anonymous part of --authentication-config are two ways to say one thing");
  const anonymous = authenticationConfig
    ? anonymousOf(authenticationConfig)
    : anonymousAuth === undefined
      ? undefined
      : { enabled: anonymousAuth };
  return {
    ...(anonymous ? { anonymous } : {}),
    ...(tokenAuthFile ? { tokenFile: new TokenFile(readFileSync(tokenAuthFile, "utf8"), tokenAuthFile) } : {}),
    bootstrapTokens: flags.bootstrapTokens,
  };
}

function anonymousOf(file: string): AuthenticationOptions["anonymous"] {
  const { kind, jwt, anonymous } = (parse(readFileSync(file, "utf8")) ?? {}) as Configuration;
  if (kind !== "AuthenticationConfiguration")
    throw new Error(`${file}: found kind ${kind}; allowed is AuthenticationConfiguration`);
  if (jwt?.length) throw new Error(`${file}: jwt: authentication by OpenID Connect is not there`);
  if (!anonymous) return undefined;
  const paths = anonymous.conditions?.map(({ path }) => path ?? "");
  return { enabled: anonymous.enabled ?? false, ...(paths?.length ? { paths } : {}) };
}
