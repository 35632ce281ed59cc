import { type Bringing, bringImage, type Wanted } from "./bring.ts";
import { type Endpoint, endpointsOf, type ImageSettings } from "./config.ts";
import { type Credentials, credentialsFor, type Keyring } from "./credentials.ts";
import { ImageFault, isFault } from "./errors.ts";
import { choosePlatform, isIndex, ownPlatform, parseManifest, parseObject } from "./manifest.ts";
import { formatReference, parseWithTag, type Reference } from "./reference.ts";
import { Http, type HttpOptions, RegistryClient } from "./registry/index.ts";
import type { ImageRecord } from "./store/index.ts";

/** Indexes may hold indexes; no image that is meant well goes deeper. */
const MAX_DEPTH = 3;

/** How images are pulled. */
export interface PullerOptions {
  readonly settings: Pick<ImageSettings, "mirrors" | "insecure">;
  readonly http?: HttpOptions;
}

/** Gets images from registries. */
export class Puller {
  readonly #options: PullerOptions;
  readonly #http: Http;

  constructor(options: PullerOptions) {
    this.#options = options;
    this.#http = new Http(options.http);
  }

  /** Closes connections. */
  close(): void {
    this.#http.close();
  }

  /**
   * Pulls an image, whether it is there already or not: what did not change is not fetched.
   * @throws ImageFault in containerd's words
   */
  async pull(name: string, keyring: Keyring, to: Bringing, signal?: AbortSignal): Promise<ImageRecord> {
    const reference = parseWithTag(name);
    const full = formatReference(reference);
    try {
      return await to.store.bringing(async () => {
        const { client, wanted } = await this.#resolve(reference, keyring, to, signal);
        return bringImage(wanted, { blob: (descriptor) => client.blob(descriptor, signal) }, to);
      });
    } catch (error) {
      if (error instanceof ImageFault)
        throw new ImageFault(error.code, `failed to pull and unpack image "${full}": ${error.message}`, error);
      throw new ImageFault("Failed", `failed to pull and unpack image "${full}": ${(error as Error).message}`, error);
    }
  }

  /** Asks one place after the other, at each with one credential after the other, until one has the image. */
  async #resolve(reference: Reference, keyring: Keyring, to: Bringing, signal?: AbortSignal) {
    const { registry, repository } = reference;
    const endpoints = endpointsOf(registry, this.#options.settings);
    const failures: unknown[] = [];
    for (const endpoint of endpoints) {
      const own = endpoint.host === registry;
      // Credentials for a registry are no business of its mirrors.
      const known = credentialsFor(keyring, endpoint.host, repository);
      for (const credentials of known.length > 0 ? known : [undefined]) {
        const client = this.#client(endpoint, repository, credentials, own ? undefined : registry);
        try {
          return { client, wanted: await manifestOf(client, reference, to, signal) };
        } catch (error) {
          signal?.throwIfAborted();
          failures.push(error);
          if (!isFault(error, "Denied")) break;
        }
      }
    }
    throw verdict(reference, failures);
  }

  #client(endpoint: Endpoint, repository: string, credentials: Credentials | undefined, namespace: string | undefined) {
    return new RegistryClient(this.#http, {
      endpoint,
      repository,
      ...(credentials ? { credentials } : {}),
      ...(namespace === undefined ? {} : { namespace }),
    });
  }
}

/** The manifest that a name means for this machine; what is on the way to it is kept. */
async function manifestOf(
  client: RegistryClient,
  reference: Reference,
  to: Bringing,
  signal?: AbortSignal,
): Promise<Wanted> {
  const name = formatReference(reference);
  const platform = to.platform ?? ownPlatform();
  const first = await client.manifest(reference.digest ?? reference.tag ?? "latest", signal);
  let { digest, bytes } = first;
  for (let depth = 0; ; depth++) {
    const document = parseObject(bytes, "the manifest");
    if (!isIndex(document))
      return {
        name,
        digest: first.digest,
        manifestDigest: digest,
        manifestBytes: bytes,
        manifest: parseManifest(document),
      };
    if (depth >= MAX_DEPTH) throw new ImageFault("Refused", "indexes of indexes of indexes lead to no manifest");
    to.store.blobs.put(digest, bytes);
    const chosen = choosePlatform(document, platform, name);
    ({ digest, bytes } = await client.manifest(chosen.digest, signal));
  }
}

/** The failure to tell: of the registry itself, which was asked last; that nobody answered, when none did. */
function verdict(reference: Reference, failures: readonly unknown[]): unknown {
  const last = failures.at(-1);
  if (!(last instanceof ImageFault)) return last;
  const answered = failures.find((failure) => !isFault(failure, "Unreachable"));
  const told = isFault(last, "Unreachable") && answered instanceof ImageFault ? answered : last;
  const full = formatReference(reference);
  const words = told.code === "NotFound" && told.message === "not found" ? `${full}: not found` : told.message;
  return new ImageFault(told.code, `failed to resolve reference "${full}": ${words}`, told);
}
