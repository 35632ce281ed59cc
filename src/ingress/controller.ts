import {
  type Client,
  type ConfigMap,
  createEventRecorder,
  Informer,
  type InformerOptions,
  type Ingress,
  type IngressClass,
  type KubeObject,
  type Pod,
  type Resource,
  resources,
  type Service,
} from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Metrics } from "#base/metrics.ts";
import type { ClassOptions } from "./classes.ts";
import { Compiler } from "./compiler.ts";
import { buildModel, type IngressModel, type ModelOptions } from "./model.ts";
import type { DataPlane } from "./nginx.ts";
import type { NginxPlace } from "./plan.ts";
import { Reports } from "./reports.ts";
import { readSettings, type Settings } from "./settings.ts";
import { publish, publishedAddresses, type StatusOptions } from "./status.ts";

/** What the controller's flags and environment say. */
export interface ControllerOptions extends ClassOptions, StatusOptions {
  /** `--configmap`: namespace/name. */
  readonly configMap?: string;
  /** `--default-backend-service`: namespace/name. */
  readonly defaultBackendService?: string;
  /** `--watch-namespace`; absent: all. */
  readonly watchNamespace?: string;
  /** `--update-status`. */
  readonly updateStatus: boolean;
}

/** What the controller works with. */
export interface ControllerDeps {
  readonly client: Client;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly dataPlane: DataPlane;
  readonly place: NginxPlace;
}

/** Waiting after a failed pass: 100 ms, doubled up to 5 s. */
const firstRetryMs = 100;
const lastRetryMs = 5_000;

/**
 * Keeps a data plane as the Ingresses say. Changes only mark it dirty; one pass at a time then computes the whole
 * configuration and applies it if its text differs from the one in force. Endpoints are none of its business, since
 * requests go to Service addresses.
 */
export class IngressController {
  readonly #options: ControllerOptions;
  readonly #deps: ControllerDeps;
  readonly #stop = new AbortController();
  readonly #informers: {
    readonly ingresses: Informer<Ingress>;
    readonly services: Informer<Service>;
    readonly classes: Informer<IngressClass>;
    readonly configMap?: Informer<ConfigMap>;
    readonly pods?: Informer<Pod>;
  };
  readonly #compiler: Compiler;
  readonly #reports: Reports;
  readonly #recorder: ReturnType<typeof createEventRecorder>;
  #dirty = false;
  #pass: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #failures = 0;
  #ready = false;
  #toldSettings = "";

  constructor(options: ControllerOptions, deps: ControllerDeps) {
    this.#options = options;
    this.#deps = deps;
    const inScope = options.watchNamespace ? { namespace: options.watchNamespace } : {};
    this.#informers = {
      ingresses: this.#informer(resources.ingresses, inScope),
      services: this.#informer(resources.services, inScope),
      classes: this.#informer(resources.ingressClasses, {}),
      ...(options.configMap ? { configMap: this.#informer(resources.configMaps, oneObject(options.configMap)) } : {}),
      ...(this.#needsPods()
        ? { pods: this.#informer(resources.pods, { namespace: options.pod?.namespace ?? "" }) }
        : {}),
    };
    this.#recorder = createEventRecorder(deps.client, { component: "nginx-ingress-controller" }, { log: deps.log });
    this.#reports = new Reports(this.#recorder);
    this.#compiler = new Compiler(deps);
  }

  /** Whether the data plane runs with a configuration made from a complete state. */
  get healthy(): boolean {
    return this.#ready && this.#deps.dataPlane.running;
  }

  /** Resolves when the first configuration is in force. */
  async start(): Promise<void> {
    const informers = Object.values(this.#informers) as Informer<KubeObject>[];
    for (const informer of informers) informer.start();
    // Pods matter to the status alone: the first answer does not wait for them.
    await Promise.all(
      informers.filter((each) => each !== (this.#informers.pods as unknown)).map((each) => each.synced),
    );
    for (const informer of informers) informer.onChange(() => this.#mark());
    this.#deps.dataPlane.onExit((reason) => {
      this.#deps.log.error("nginx ended and is started again", { reason });
      this.#compiler.forget();
      this.#mark();
    });
    this.#mark();
    while (!this.#ready && !this.#stop.signal.aborted)
      await (this.#pass ?? new Promise((next) => setTimeout(next, firstRetryMs)));
  }

  /** Ends the watches, waits for a running pass and lets the data plane finish its requests. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error("the ingress controller stops"));
    clearTimeout(this.#retry);
    await this.#pass;
    await this.#deps.dataPlane.stop();
    await this.#recorder.flush();
  }

  #informer<T extends KubeObject>(of: Resource<T>, options: InformerOptions): Informer<T> {
    return new Informer(this.#deps.client, of, options, { log: this.#deps.log, signal: this.#stop.signal });
  }

  #needsPods(): boolean {
    const { updateStatus, pod, publishService, publishStatusAddress } = this.#options;
    return updateStatus && pod !== undefined && !publishService && !publishStatusAddress;
  }

  #mark(): void {
    this.#dirty = true;
    if (this.#pass || this.#retry || this.#stop.signal.aborted) return;
    this.#pass = this.#run().finally(() => {
      this.#pass = undefined;
    });
  }

  async #run(): Promise<void> {
    // Changes of the same turn, such as the objects of one apply, become one pass.
    await new Promise((resume) => setImmediate(resume));
    while (this.#dirty && !this.#stop.signal.aborted) {
      this.#dirty = false;
      try {
        await this.#reconcile();
        this.#failures = 0;
      } catch (error) {
        this.#failed(error);
        return;
      }
    }
  }

  #failed(error: unknown): void {
    if (this.#stop.signal.aborted) return;
    const wait = Math.min(firstRetryMs * 2 ** this.#failures++, lastRetryMs);
    this.#deps.log.error("The configuration could not be applied, will retry", {
      error: errorMessage(error),
      retryMs: wait,
    });
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#mark();
    }, wait);
  }

  async #reconcile(): Promise<void> {
    const settings = this.#settings();
    const services = new Map(this.#informers.services.list().map((service) => [keyOf(service), service]));
    const model = buildModel(
      { ingresses: this.#informers.ingresses.list(), classes: this.#informers.classes.list(), services },
      this.#modelOptions(settings),
    );
    const { rejected } = await this.#compiler.apply(model, settings);
    this.#ready = true;
    this.#reports.update(model.ingresses, [...model.complaints, ...rejected]);
    if (this.#options.updateStatus) await this.#publish(model, services);
  }

  #modelOptions(settings: Settings): ModelOptions {
    const { ingressClass, controllerClass, withoutClass, defaultBackendService } = this.#options;
    const { sslRedirect } = settings;
    return {
      ingressClass,
      controllerClass,
      withoutClass,
      sslRedirect,
      ...(defaultBackendService ? { defaultBackendService } : {}),
    };
  }

  #settings(): Settings {
    const { settings, complaints } = readSettings(this.#informers.configMap?.list()[0]?.data ?? {});
    const told = complaints.join("\n");
    if (told !== this.#toldSettings) {
      for (const complaint of complaints) this.#deps.log.warn("ConfigMap option ignored", { option: complaint });
      this.#toldSettings = told;
    }
    return settings;
  }

  async #publish(model: IngressModel, services: ReadonlyMap<string, Service>): Promise<void> {
    const addresses = publishedAddresses(this.#options, services, this.#informers.pods?.list() ?? []);
    if (addresses.length === 0) return;
    const { client, log } = this.#deps;
    for (const ingress of model.ingresses) {
      if (await publish(client, ingress, addresses)) log.info("Updated Ingress status", { ingress: keyOf(ingress) });
    }
  }
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}

function oneObject(key: string): InformerOptions {
  const [namespace = "", name = ""] = key.split("/");
  return { namespace, fieldSelector: `metadata.name=${name}` };
}
