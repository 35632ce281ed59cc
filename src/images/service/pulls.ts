import type { Bringing } from "../bring.ts";
import type { ImageSettings } from "../config.ts";
import { hexOf } from "../digest.ts";
import { ImageFault, isFault } from "../errors.ts";
import type { Puller } from "../puller.ts";
import { formatReference, parseWithTag, type Reference, repositoryName } from "../reference.ts";
import type { ClusterUses, ImageRecord, ImageStore, LayerKeeper } from "../store/index.ts";
import type { ImageAnswer, ImageFacts, ImageRequest, ImagesState } from "./protocol.ts";
import { Turns } from "./turns.ts";

/** How long a registry that did not answer is not waited for again, in ms. */
const SILENT_MS = 10_000;
/** Images that are pulled at the same time. */
const AT_ONCE = 4;

/** What images are given out from. */
export interface PullsDeps {
  readonly store: ImageStore;
  readonly keeper: LayerKeeper;
  readonly puller: Puller;
  readonly settings: ImageSettings;
  readonly uses: ClusterUses;
  readonly now?: () => number;
}

interface Silence {
  readonly since: number;
  readonly fault: ImageFault;
}

/** A pull for all who ask for the same. */
interface UnderWay {
  readonly answer: Promise<ImageAnswer>;
  /** How many wait for it. */
  waiting: number;
  readonly end: AbortController;
}

/** Gives images to a cluster's nodes; what several ask for at the same time is fetched once. */
export class Pulls {
  readonly #deps: PullsDeps;
  readonly #now: () => number;
  readonly #underWay = new Map<string, UnderWay>();
  readonly #turns = new Turns(AT_ONCE);
  /** Registries that did not answer. */
  readonly #silent = new Map<string, Silence>();

  constructor(deps: PullsDeps) {
    this.#deps = deps;
    this.#now = deps.now ?? (() => performance.now());
  }

  /** What the cluster's nodes may know. */
  state(): ImagesState {
    const { settings, store } = this.#deps;
    const images = store.records.list().map((record) => ({
      names: [...new Set([imageIdOf(record), record.name])],
      sizeBytes: record.size,
    }));
    return { settings: { strict: settings.strict, templates: settings.templates }, images };
  }

  /**
   * Answers a node. Never throws.
   * @param signal the node does not wait any more; a pull that nobody waits for ends
   */
  answer(request: ImageRequest, signal?: AbortSignal): Promise<ImageAnswer> {
    const key = JSON.stringify([request.image, request.policy, request.keyring]);
    const pull = this.#underWay.get(key) ?? this.#begin(key, request);
    pull.waiting++;
    const leave = () => {
      pull.waiting--;
      if (pull.waiting > 0) return;
      // Whoever asks from now on gets a pull of their own.
      if (this.#underWay.get(key) === pull) this.#underWay.delete(key);
      pull.end.abort(new ImageFault("Failed", "context canceled"));
    };
    if (signal?.aborted) leave();
    else signal?.addEventListener("abort", leave, { once: true });
    return pull.answer;
  }

  #begin(key: string, request: ImageRequest): UnderWay {
    const end = new AbortController();
    const answer = this.#answer(request, end.signal).finally(() => {
      if (this.#underWay.get(key) === pull) this.#underWay.delete(key);
    });
    const pull: UnderWay = { answer, waiting: 0, end };
    this.#underWay.set(key, pull);
    return pull;
  }

  async #answer(request: ImageRequest, signal: AbortSignal): Promise<ImageAnswer> {
    let record: ImageRecord | undefined;
    try {
      const reference = parseWithTag(request.image);
      record = this.#present(reference);
      if (request.policy !== "Always" && record) return { ok: true, image: await this.#give(record) };
      if (request.policy === "Never")
        return { ok: false, code: "NotPresent", message: `${formatReference(reference)} is not here`, present: false };
      const asked = this.#now();
      return await this.#turns.take(async () => {
        signal.throwIfAborted();
        const began = this.#now();
        const pulled = await this.#pull(reference, request, signal);
        const ms = (since: number) => Math.round(this.#now() - since);
        return { ok: true, image: await this.#give(pulled), pulled: { ms: ms(began), withWaitingMs: ms(asked) } };
      });
    } catch (error) {
      const code = error instanceof ImageFault ? error.code : "Failed";
      return { ok: false, code, message: (error as Error).message, present: record !== undefined };
    }
  }

  /** What is here whole. */
  #present(reference: Reference): ImageRecord | undefined {
    const record = this.#deps.store.find(reference);
    return record && this.#deps.store.isWhole(record) ? record : undefined;
  }

  /** A registry that was silent a moment ago is not waited for: pods would start as slowly as it fails. */
  #pull({ registry }: Reference, { image, keyring }: ImageRequest, signal: AbortSignal): Promise<ImageRecord> {
    const silence = this.#silent.get(registry);
    if (silence && this.#now() - silence.since < SILENT_MS) return Promise.reject(silence.fault);
    return this.#ask(image, keyring, registry, signal);
  }

  async #ask(
    image: string,
    keyring: ImageRequest["keyring"],
    registry: string,
    signal: AbortSignal,
  ): Promise<ImageRecord> {
    const { puller, store, keeper } = this.#deps;
    const to: Bringing = { store, keeper };
    try {
      const record = await puller.pull(image, keyring, to, signal);
      this.#silent.delete(registry);
      return record;
    } catch (error) {
      // An end of ours says nothing of the registry.
      if (signal.aborted) throw error;
      if (isFault(error, "Unreachable")) this.#silent.set(registry, { since: this.#now(), fault: error as ImageFault });
      else this.#silent.delete(registry);
      throw error;
    }
  }

  /** Notes that the cluster has the image, which stays from then on while the cluster runs. */
  async #give(record: ImageRecord): Promise<ImageFacts> {
    const { store, uses } = this.#deps;
    return store.bringing(async () => {
      uses.add(record.manifest);
      if (!store.isWhole(record))
        throw new ImageFault("Failed", `image ${record.name} is here in part: podwire images rm it and pull it again`);
      return {
        name: record.name,
        imageId: imageIdOf(record),
        layers: record.layers.map(({ diffId }) => hexOf(diffId)),
        config: store.config(record),
        size: record.size,
      };
    });
  }
}

function imageIdOf(record: ImageRecord): string {
  return `${repositoryName(parseWithTag(record.name))}@${record.digest}`;
}
