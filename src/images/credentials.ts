/** What a registry is told of who asks. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** Given in exchange for a token (OAuth 2 refresh token). */
  readonly identityToken?: string;
  /** Sent as it is, as a bearer token. */
  readonly registryToken?: string;
}

/** Credentials and the registries, with a path if one is written, that they are for. */
export interface Keyring {
  readonly entries: readonly { readonly place: string; readonly credentials: Credentials }[];
}

type Json = Readonly<Record<string, unknown>>;

const text = (value: unknown): string => (typeof value === "string" ? value : "");

function credentialsOf(value: unknown): Credentials | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const entry = value as Json;
  const both = Buffer.from(text(entry["auth"]), "base64").toString("utf8").replaceAll("\0", "");
  const colon = both.indexOf(":");
  const [user, password] = colon < 0 ? ["", ""] : [both.slice(0, colon), both.slice(colon + 1)];
  const identityToken = text(entry["identitytoken"]);
  const registryToken = text(entry["registrytoken"]);
  const found = {
    username: user || text(entry["username"]),
    password: password || text(entry["password"]),
    ...(identityToken ? { identityToken } : {}),
    ...(registryToken ? { registryToken } : {}),
  };
  return found.username || found.password || identityToken || registryToken ? found : undefined;
}

function entriesOf(auths: unknown): Keyring["entries"] {
  if (typeof auths !== "object" || auths === null) return [];
  return Object.entries(auths).flatMap(([place, value]) => {
    const credentials = credentialsOf(value);
    return credentials ? [{ place: placeOf(place), credentials }] : [];
  });
}

/** A registry as files name it, which may be an URL: `https://index.docker.io/v1/` is Docker Hub. */
function placeOf(given: string): string {
  const place = given
    .replace(/^https?:\/\//, "")
    .replace(/\/+$/, "")
    .replace(/\/v[12]$/, "");
  const [host = "", ...path] = place.split("/");
  const known = host === "index.docker.io" || host === "registry-1.docker.io" ? "docker.io" : host;
  return [known, ...path].join("/");
}

/**
 * Reads a file of credentials.
 * @param kind `dockerconfigjson`: `{"auths": {…}}` (~/.docker/config.json); `dockercfg`: the older form without `auths`
 * @throws Error for what is no JSON
 */
export function parseKeyring(content: string, kind: "dockerconfigjson" | "dockercfg"): Keyring {
  const document = JSON.parse(content) as Json | null;
  return { entries: entriesOf(kind === "dockercfg" ? document : document?.["auths"]) };
}

/** `*.example.com` stands for one label (kubelet, URLsMatchStr). */
function hostMatches(pattern: string, host: string): boolean {
  const [wanted, own] = [pattern.split("."), host.split(".")];
  if (wanted.length !== own.length) return false;
  return wanted.every((label, i) => {
    const parts = label.split("*").map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
    return new RegExp(`^${parts.join("[^.]*")}$`).test(own[i] ?? "");
  });
}

/** The credentials for a repository, those with the longest path first (kubelet, BasicDockerKeyring.Lookup). */
export function credentialsFor(keyring: Keyring, registry: string, repository: string): readonly Credentials[] {
  const full = `/${repository}`;
  return keyring.entries
    .filter(({ place }) => {
      const slash = place.indexOf("/");
      const host = slash < 0 ? place : place.slice(0, slash);
      return hostMatches(host, registry) && full.startsWith(slash < 0 ? "/" : place.slice(slash));
    })
    .toSorted((a, b) => b.place.length - a.place.length)
    .map(({ credentials }) => credentials);
}
