import type { Container, Pod } from "#api/index.ts";
import { type Keyring, parseKeyring } from "#images/index.ts";
import { type ContainerImage, ImageError } from "../images/index.ts";
import type { PodDeps } from "./deps.ts";
import type { ContainerReporter } from "./reporter.ts";

/** Policy that counts when the pod names none: a tag `latest` is asked for anew each time (as upstream). */
export function pullPolicy(container: Container): "Always" | "IfNotPresent" | "Never" {
  if (container.imagePullPolicy) return container.imagePullPolicy;
  const [name = "", digest] = (container.image ?? "").split("@");
  const tag = /:([^/:]+)$/.exec(name)?.[1];
  return tag === "latest" || (tag === undefined && digest === undefined) ? "Always" : "IfNotPresent";
}

/** Types of Secrets with credentials of registries, and the key of each (API, core/v1 SecretType). */
const KINDS = {
  "kubernetes.io/dockerconfigjson": [".dockerconfigjson", "dockerconfigjson"],
  "kubernetes.io/dockercfg": [".dockercfg", "dockercfg"],
} as const;

/** The image of one container: asked for once per start, however early somebody wants to know. */
export class UnitImage {
  readonly #container: () => Container;
  readonly #deps: Pick<PodDeps, "images" | "objects" | "log">;
  readonly #pod: () => Pod;
  readonly #reporter: ContainerReporter;
  readonly #end = new AbortController();
  #asked: Promise<ContainerImage> | undefined;

  constructor(
    container: () => Container,
    deps: Pick<PodDeps, "images" | "objects" | "log">,
    pod: () => Pod,
    reporter: ContainerReporter,
  ) {
    this.#container = container;
    this.#deps = deps;
    this.#pod = pod;
    this.#reporter = reporter;
  }

  /** Asks for it, unless that was done already. @throws ImageError */
  ask(): Promise<ContainerImage> {
    this.#asked ??= this.#pull();
    return this.#asked;
  }

  /** Nobody waits for it any more: the container is not started again. Who waits now gets an error. */
  giveUp(): void {
    this.#end.abort(new ImageError("ErrImagePull", "context canceled"));
  }

  /** It has been given up. */
  get isGivenUp(): boolean {
    return this.#end.signal.aborted;
  }

  /** The container names another one. */
  forget(): void {
    this.#asked = undefined;
  }

  /** Gets it for a start: the next one asks anew. @throws ImageError */
  async take(): Promise<ContainerImage> {
    try {
      return await this.ask();
    } finally {
      this.#asked = undefined;
    }
  }

  async #pull(): Promise<ContainerImage> {
    this.#end.signal.throwIfAborted();
    const container = this.#container();
    const { image } = container;
    if (!image) throw new ImageError("InvalidImageName", "the container names no image");
    const { signal } = this.#end;
    const pulled = this.#deps.images.pull({
      reference: image,
      policy: pullPolicy(container),
      keyring: () => this.#keyring(),
      onPulling: () => this.#reporter.event("Normal", "Pulling", `Pulling image "${image}"`),
      signal,
    });
    return unlessAborted(pulled, signal);
  }

  /** Credentials of the pod's Secrets; those that are not there or cannot be read are left out (as upstream). */
  async #keyring(): Promise<Keyring> {
    const { spec, metadata } = this.#pod();
    const entries: Keyring["entries"][number][] = [];
    for (const { name = "" } of spec.imagePullSecrets ?? []) {
      const secret = await this.#deps.objects.secret(metadata.namespace ?? "default", name).catch(() => undefined);
      const kind = KINDS[secret?.type as keyof typeof KINDS];
      const data = kind && secret?.data?.[kind[0]];
      if (data === undefined) {
        const words = `Unable to retrieve some image pull secrets (${name}); attempting to pull the image may not succeed.`;
        this.#reporter.event("Warning", "FailedToRetrieveImagePullSecret", words);
        continue;
      }
      try {
        entries.push(...parseKeyring(Buffer.from(data, "base64").toString("utf8"), kind[1]).entries);
      } catch {
        this.#reporter.say("A Secret of credentials for images cannot be read", { secret: name });
      }
    }
    return { entries };
  }
}

/** What comes, unless the signal comes first. @throws the signal's reason */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
