import { type Client, isNotFound, type KubeObject, type Pod, type Resource, resources, type TokenRequest } from "#api/index.ts";
import type { ObjectReader } from "./pods/index.ts";
import type { BoundToken } from "./volumes/index.ts";

/** Reads ConfigMaps and Secrets and asks for tokens. Pods that start together share what is being read. */
export class ApiObjects implements ObjectReader {
  readonly #client: Client;
  readonly #reading = new Map<string, Promise<KubeObject | undefined>>();

  constructor(client: Client) {
    this.#client = client;
  }

  configMap(namespace: string, name: string) {
    return this.#get(resources.configMaps, namespace, name);
  }

  secret(namespace: string, name: string) {
    return this.#get(resources.secrets, namespace, name);
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

  #get<T extends KubeObject>(of: Resource<T>, namespace: string, name: string): Promise<T | undefined> {
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
