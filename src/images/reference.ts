import { ImageFault } from "./errors.ts";

/** An image's name taken apart (github.com/distribution/reference, grammar in reference.go). */
export interface Reference {
  /** Registry host with its port if one is written; `docker.io` when none is. */
  readonly registry: string;
  /** Path in the registry, `library/` included for Docker Hub's own images. */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: string;
}

const DOMAIN_PART = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const HOST = `(?:${DOMAIN_PART}(?:\\.${DOMAIN_PART})*|\\[[a-fA-F0-9:]+\\])`;
const DOMAIN = new RegExp(`^${HOST}(?::[0-9]+)?$`);
const PATH_PART = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const PATH = new RegExp(`^${PATH_PART}(?:/${PATH_PART})*$`);
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;
const ID = /^[a-f0-9]{64}$/;
const MAX_NAME = 255;
/** Longest text that is looked at at all: name, tag and digest. */
const MAX_REFERENCE = 1024;
const INVALID = "invalid reference format";

const fault = (words: string) => new ImageFault("InvalidName", words);

/**
 * Takes a name apart and completes it as Docker and containerd do (ParseNormalizedNamed): `nginx` is
 * `docker.io/library/nginx`. No tag is added.
 * @throws ImageFault "InvalidName" in the words of distribution/reference
 */
export function parseReference(text: string): Reference {
  if (text.length > MAX_REFERENCE) throw fault(INVALID);
  if (ID.test(text)) throw fault(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  const { name, tag, digest } = splitSuffixes(text);
  const { registry, repository } = splitRegistry(name);
  const full = `${registry}/${repository}`;
  if (repository !== repository.toLowerCase() && PATH.test(repository.toLowerCase()))
    throw fault(`${INVALID}: repository name (${repository}) must be lowercase`);
  if (!DOMAIN.test(registry) || !PATH.test(repository)) throw fault(INVALID);
  if (full.length > MAX_NAME) throw fault(`repository name must not be more than ${MAX_NAME} characters`);
  if (digest?.startsWith("sha256:") && digest.length !== 71) throw fault("invalid checksum digest length");
  if (digest !== undefined && !digest.startsWith("sha256:")) throw fault("unsupported digest algorithm");
  return {
    registry,
    repository,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** Cuts `:tag` and `@digest` off. */
function splitSuffixes(text: string): { name: string; tag?: string; digest?: string } {
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  const rest = at < 0 ? text : text.slice(0, at);
  if (digest !== undefined && !DIGEST.test(digest)) throw fault(INVALID);
  const colon = rest.lastIndexOf(":");
  const tagged = colon > rest.lastIndexOf("/");
  const tag = tagged ? rest.slice(colon + 1) : undefined;
  if (tag !== undefined && !TAG.test(tag)) throw fault(INVALID);
  return {
    name: tagged ? rest.slice(0, colon) : rest,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** The part before the first slash is a registry when it looks like a host (splitDockerDomain). */
function splitRegistry(name: string): { registry: string; repository: string } {
  const slash = name.indexOf("/");
  const head = name.slice(0, Math.max(0, slash));
  const isHost = slash >= 0 && (/[.:]/.test(head) || head === "localhost" || head !== head.toLowerCase());
  const registry = !isHost || head === "index.docker.io" ? "docker.io" : head;
  const path = isHost ? name.slice(slash + 1) : name;
  const repository = registry === "docker.io" && path !== "" && !path.includes("/") ? `library/${path}` : path;
  return { registry, repository };
}

/** As {@link parseReference}; a name without tag and digest gets the tag `latest`. @throws ImageFault */
export function parseWithTag(text: string): Reference {
  const reference = parseReference(text);
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: "latest" } : reference;
}

/** Registry and repository. */
export function repositoryName({ registry, repository }: Reference): string {
  return `${registry}/${repository}`;
}

/** The whole name, such as `docker.io/library/nginx:1.27@sha256:…`. */
export function formatReference(reference: Reference): string {
  const { tag, digest } = reference;
  return `${repositoryName(reference)}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}

/** The repository as people write it: without Docker Hub's own name. */
export function familiarName({ registry, repository }: Reference): string {
  if (registry !== "docker.io") return `${registry}/${repository}`;
  return repository.replace(/^library\/(?=[^/]+$)/, "");
}
