/** An image reference taken apart (distribution's reference grammar). */
export interface ImageReference {
  /** Registry host, `docker.io` when none is written. */
  readonly registry: string;
  /** Path in the registry; `library/` is left out for Docker Hub's own images. */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: string;
}

const PATTERN =
  /^([a-z0-9]+(?:[._-]+[a-z0-9]+)*(?::[0-9]+)?(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)(?::([\w][\w.-]{0,127}))?(?:@(sha256:[a-f0-9]{64}))?$/;

/** Takes a reference apart. @returns undefined for text that is none */
export function parseReference(text: string): ImageReference | undefined {
  const match = PATTERN.exec(text);
  const name = match?.[1];
  if (!match || name === undefined) return undefined;
  const slash = name.indexOf("/");
  const head = slash < 0 ? "" : name.slice(0, slash);
  const hasHost = head.includes(".") || head.includes(":") || head === "localhost";
  const host = hasHost ? head : "docker.io";
  const registry = host === "index.docker.io" ? "docker.io" : host;
  const path = hasHost ? name.slice(slash + 1) : name;
  const repository = registry === "docker.io" ? path.replace(/^library\//, "") : path;
  return {
    registry,
    repository,
    ...(match[2] === undefined ? {} : { tag: match[2] }),
    ...(match[3] === undefined ? {} : { digest: match[3] }),
  };
}

/** Registry (unless it is Docker Hub) and repository, without tag and digest. */
export function repositoryName({ registry, repository }: ImageReference): string {
  return registry === "docker.io" ? repository : `${registry}/${repository}`;
}
