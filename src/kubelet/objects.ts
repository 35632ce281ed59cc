import {
  type Client,
  Informer,
  isNotFound,
  type KubeObject,
  type Pod,
  type Resource,
  resources,
  type TokenRequest,
} from "#api/index.ts";
import type { Logger } from "#base/log.ts";
import type { ObjectReader } from "./pods/index.ts";
import type { BoundToken, VolumeReference } from "./volumes/index.ts";

interface Watched {
  readonly listeners: Set<() => void>;
  readonly stop: AbortController;
}

/** Reads ConfigMaps and Secrets and asks for tokens. Pods that start together share what is being read. */
export class ApiObjects implements ObjectReader {
  readonly #client: Client;
  readonly #reading = new Map<string, Promise<KubeObject | undefined>>();

  readonly #log: Logger;
  readonly #watched = new Map<string, Watched>();

  constructor(client: Client, log: Logger) {
    this.#client = client;
    this.#log = log;
  }

  watch({ kind, name }: VolumeReference, namespace: string, onChange: () => void): () => void {
    const key = `${kind}/${namespace}/${name}`;
    const watched = this.#watched.get(key) ?? this.#startWatch(kind, namespace, name);
    this.#watched.set(key, watched);
    watched.listeners.add(onChange);
    return () => {
      watched.listeners.delete(onChange);
      if (watched.listeners.size > 0) return;
      watched.stop.abort(new Error("no pod shows it any more"));
      this.#watched.delete(key);
    };
  }

  /** Ends all watches. */
  stop(): void {
    for (const { stop } of this.#watched.values()) stop.abort(new Error("the agent stops"));
    this.#watched.clear();
  }

  #startWatch(kind: VolumeReference["kind"], namespace: string, name: string): Watched {
    const listeners = new Set<() => void>();
    const stop = new AbortController();
    const selector = { namespace, fieldSelector: `metadata.name=${name}` };
    const informer = new Informer<KubeObject>(this.#client, resources[kind], selector, {
      log: this.#log,
      signal: stop.signal,
    });
    informer.onChange(() => {
      for (const listener of listeners) listener();
    });
    informer.start();
    return { listeners, stop };
  }

  configMap(namespace: string, name: string) {
    return this.#get(resources.configMaps, namespace, name);
  }

  secret(namespace: string, name: string) {
    return this.#get(resources.secrets, namespace, name);
  }

  runtimeClass(name: string) {
    return this.#get(resources.runtimeClasses, undefined, name);
  }

  /** A token for the pod's service account that ends with the pod (authentication.k8s.io/v1 TokenRequest). */
  async token(pod: Pod, audience: string | undefined, expirationSeconds: number): Promise<BoundToken> {
    const { name, namespace, uid } = pod.metadata;
    const body = {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: {
        audiences: audience === undefined ? [] : [audience],
        expirationSeconds,
        boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid },
      },
    };
    const answer = await this.#client.post<TokenRequest>(
      resources.serviceAccounts,
      pod.spec.serviceAccountName ?? "default",
      body,
      { subresource: "token", ...(namespace === undefined ? {} : { namespace }) },
    );
    const { token = "", expirationTimestamp = "" } = answer.status ?? {};
    return { token, expiresMs: Date.parse(expirationTimestamp) };
  }

  #get<T extends KubeObject>(of: Resource<T>, namespace: string | undefined, name: string): Promise<T | undefined> {
    const key = `${of.plural}/${namespace}/${name}`;
    const running = this.#reading.get(key);
    if (running) return running as Promise<T | undefined>;
    const reading = this.#client.get(of, name, namespace).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    this.#reading.set(key, reading);
    // What is read later may be newer, so nothing is kept.
    const forget = () => this.#reading.delete(key);
    reading.then(forget, forget);
    return reading;
  }
}
