import { errorMessage } from "#base/errors.ts";
import { type ImageAnswer, ImageClient, type ImagesState } from "#images/index.ts";
import { checkName, invalidName, neverPulled } from "./names.ts";
import { pulledImage } from "./pulled.ts";
import { type ContainerImage, ImageError, type ImageSource, type ImageWish } from "./source.ts";
import type { TemplateImages } from "./templates.ts";

/** Where a cluster's node finds images. */
export interface ClusterImagesOptions {
  /** Unix socket by which images are asked for; nodes have no way out themselves. */
  readonly socket: string;
  /** Folder of unpacked layers. */
  readonly layers: string;
}

type Refusal = Extract<ImageAnswer, { ok: false }>;

/** As many images as a node's status names (kubelet, nodeStatusMaxImages). */
const MAX_LISTED = 50;

/**
 * The images of a cluster's node: Podwire's own, what registries and the store have, and, where no registry answers
 * and no image is there, templates over the machine's files.
 */
export class ClusterImages implements ImageSource {
  readonly #templates: TemplateImages;
  readonly #layers: string;
  readonly #client: ImageClient;
  readonly #onChange: () => void;
  #state: ImagesState | undefined;

  /** @param onChange other images are listed than before */
  constructor(options: ClusterImagesOptions, templates: TemplateImages, onChange: () => void) {
    this.#onChange = onChange;
    this.#templates = templates;
    this.#layers = options.layers;
    this.#client = new ImageClient(options.socket);
    void this.#refresh();
  }

  async pull(wish: ImageWish): Promise<ContainerImage> {
    const { reference, policy } = wish;
    checkName(reference);
    const own = this.#templates.own(reference);
    if (own) return own;
    if (policy !== "IfNotPresent") return this.#ask(wish);
    // The registry is asked, and the pod's credentials are read, when it is not here alone.
    const here = await this.#send(wish, { policy: "Never" });
    if (here.ok) return this.#image(reference, here);
    return this.#ask(wish);
  }

  list(): readonly { readonly names: readonly string[]; readonly sizeBytes: number }[] {
    return [...(this.#state?.images ?? []), ...this.#templates.list()].slice(0, MAX_LISTED);
  }

  async #ask(wish: ImageWish): Promise<ContainerImage> {
    const { reference, policy } = wish;
    if (policy !== "Never") wish.onPulling();
    const answer = await this.#send(wish, { policy, ...(policy === "Never" ? {} : { keyring: await wish.keyring() }) });
    if (answer.ok) {
      void this.#refresh();
      return this.#image(reference, answer);
    }
    const template = await this.#template(reference, answer);
    if (template) return template;
    throw this.#error(reference, answer);
  }

  async #send(
    { reference, signal }: ImageWish,
    how: { policy: ImageWish["policy"]; keyring?: Awaited<ReturnType<ImageWish["keyring"]>> },
  ) {
    try {
      const keyring = how.keyring ?? { entries: [] };
      return await this.#client.pull({ image: reference, policy: how.policy, keyring }, signal);
    } catch (error) {
      throw new ImageError("ErrImagePull", `what pulls images for this node does not answer: ${errorMessage(error)}`);
    }
  }

  #image(reference: string, { image, pulled }: Extract<ImageAnswer, { ok: true }>): ContainerImage {
    return pulledImage(reference, image, this.#layers, pulled);
  }

  /** What stands in for an image that cannot be had. */
  async #template(reference: string, { code, present, message }: Refusal): Promise<ContainerImage | undefined> {
    if (present || (code !== "Unreachable" && code !== "NotPresent")) return undefined;
    const { strict, templates } = (await this.#refresh())?.settings ?? { strict: true, templates: {} };
    if (strict) return undefined;
    return this.#templates.standIn(reference, templates, code === "Unreachable" ? message : undefined);
  }

  #error(reference: string, { code, message, present }: Refusal): ImageError {
    if (code === "InvalidName") return invalidName(reference, message);
    if (code === "NotPresent") return neverPulled(reference);
    const status = code === "NotFound" ? "NotFound" : "Unknown";
    const words = `rpc error: code = ${status} desc = ${message}`;
    const strict = code === "Unreachable" && !present && this.#state?.settings.strict;
    const name = strict ? this.#templates.nameFor(reference, this.#state?.settings.templates ?? {}) : undefined;
    const off = name === undefined ? "" : ` (the template ${name} is turned off by "images: strict")`;
    return new ImageError("ErrImagePull", `${words}${off}`);
  }

  async #refresh(): Promise<ImagesState | undefined> {
    const before = JSON.stringify(this.#state?.images ?? []);
    this.#state = await this.#client.state().catch(() => this.#state);
    if (JSON.stringify(this.#state?.images ?? []) !== before) this.#onChange();
    return this.#state;
  }
}
