/** What is said of images in a cluster's configuration, and to `podwire images`. */
export interface ImageSettings {
  /** No template stands in for an image. */
  readonly strict: boolean;
  /** Registry → places that are asked before it, in this order: `host[:port]`, or an http(s) URL with a path. */
  readonly mirrors: Readonly<Record<string, readonly string[]>>;
  /** Registries (`host[:port]`) to which plain http is spoken; of a mirror there by https no certificate is checked. */
  readonly insecure: readonly string[];
  /** Template → image names that it stands in for, beside its own. */
  readonly templates: Readonly<Record<string, readonly string[]>>;
}

/** Nothing configured. */
export const defaultImageSettings: ImageSettings = { strict: false, mirrors: {}, insecure: [], templates: {} };

/** A place where a registry's images can be had. */
export interface Endpoint {
  /** `https://registry-1.docker.io`, without a slash at its end. */
  readonly base: string;
  readonly insecure: boolean;
  /** Host and port as in image names. */
  readonly host: string;
}

/** Docker Hub's registry answers under another name than its images carry. */
const DOCKER_HUB = "registry-1.docker.io";

function endpoint(place: string, { insecure }: Pick<ImageSettings, "insecure">): Endpoint {
  const url = /^(https?):\/\/([^/]+)(\/.*)?$/.exec(place);
  const host = url?.[2] ?? place;
  const allowed = insecure.includes(host) || url?.[1] === "http";
  const scheme = url?.[1] ?? (allowed ? "http" : "https");
  return {
    base: `${scheme}://${host === "docker.io" ? DOCKER_HUB : host}${(url?.[3] ?? "").replace(/\/+$/, "")}`,
    insecure: allowed,
    host,
  };
}

/** Where to ask for the images of a registry, mirrors first. */
export function endpointsOf(
  registry: string,
  settings: Pick<ImageSettings, "mirrors" | "insecure">,
): readonly Endpoint[] {
  const table = new Map(Object.entries(settings.mirrors));
  const mirrors = table.get(registry) ?? table.get("*") ?? [];
  return [...mirrors, registry].map((place) => endpoint(place, settings));
}
