import { EventEmitter } from "node:events";
import type { AddressInfo, Server } from "node:net";
import { join } from "node:path";
import { Client, http2Transport, Informer, type Node, type Pod, resources, type Transport } from "#api/index.ts";
import { PodwireError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { createFileLogger } from "#base/logFile.ts";
import { API_LISTENER, apiServerNames, clusterPlan, type PlanOptions } from "#lab/cluster/index.ts";
import type { ClusterConfig } from "#lab/config/index.ts";
import { ImageSupply } from "#lab/images/index.ts";
import { createAll } from "#lab/manifests/index.ts";
import { type ClusterPki, kubeconfig, makePki } from "#lab/pki/index.ts";
import { StateDirectory } from "#lab/state/index.ts";
import { ClusterGroup } from "./clusterGroup.ts";
import { type ControlRequest, serveControl } from "./control.ts";
import { EngineLink } from "./engineLink.ts";
import { forwardIngress, hostAddressOf, NodePortExposer } from "./exposer.ts";
import { controlPlaneFault, machineFault } from "./faults.ts";
import { firstAnswer } from "./firstAnswer.ts";
import { echoPods } from "./load.ts";
import { listenLocal, takeLoopback } from "./loopback.ts";
import { NodeChanges } from "./nodeChanges.ts";
import { NodeWatch } from "./nodes.ts";
import { type MachinePlace, placeOf } from "./nsenter.ts";
import { addons, exampleObjects } from "./objects.ts";
import type { ClusterOptions } from "./options.ts";
import { serveOutside } from "./outside.ts";
import { type ClusterStatus, clusterStatus } from "./status.ts";

interface Events {
  /** A step is done, at this many milliseconds since the start of the command. */
  step: [name: string, ms: number];
  /** The cluster cannot go on. */
  failed: [error: Error];
  /** Another command asks for the end. */
  down: [];
}

/** A running cluster, seen from the host: the engine's parent, the listeners, the control socket. */
export class Cluster extends EventEmitter<Events> {
  readonly #options: ClusterOptions;
  readonly #abort = new AbortController();
  readonly #timeline: Record<string, number> = {};
  #state: StateDirectory | undefined;
  #engine: EngineLink | undefined;
  #group: ClusterGroup | undefined;
  #transport: Transport | undefined;
  #control: Server | undefined;
  #images: ImageSupply | undefined;
  #exposer: NodePortExposer | undefined;
  /** As it is now: nodes come and go. */
  #config: ClusterConfig;
  #changes: NodeChanges | undefined;
  #nodes: Informer<Node> | undefined;
  #pods: Informer<Pod> | undefined;
  #prefix = "";
  #apiPort = 0;
  #ingressPort: number | undefined;
  #firstAnswerMs: number | undefined;
  #started = false;
  /** The API server has answered. */
  #answered = false;
  readonly #bootedAt = Date.now();
  #failure: string | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: ClusterOptions) {
    super();
    this.#options = options;
    this.#config = options.config;
  }

  /**
   * Brings the cluster up; resolves with the first HTTP answer through it (or, without an example, with all nodes
   * ready).
   * @throws PodwireError; what was begun is taken down by `stop()`
   */
  async start(): Promise<void> {
    const { config, installation, kept } = this.#options;
    const state = StateDirectory.open(config.name);
    this.#state = state;
    const log = createFileLogger("podwire", join(state.path, "podwire.log"));
    const range = await takeLoopback(config.name, config.apiPort);
    this.#prefix = range.prefix;
    this.#apiPort = (range.api.address() as AddressInfo).port;
    const ingress = config.ingress === "none" ? undefined : await listenLocal(config.ingressPort, "--ingress-port");
    this.#ingressPort = (ingress?.address() as AddressInfo | undefined)?.port;
    await this.#serve(state);
    this.#group = config.privileged ? await ClusterGroup.takePrivileged() : ClusterGroup.take();
    this.#images = await ImageSupply.start(config.name, state.path, installation, config.images);
    const [engine, pki] = await Promise.all([
      EngineLink.start(
        { ...installation, state: kept?.directory.disk ?? state.disk, images: this.#images.folders },
        "engine.cjs",
        join(state.path, "engine.log"),
        { group: this.#group, privileged: config.privileged },
      ),
      makePki({ apiNames: apiServerNames(config, `${range.prefix}.1`), nodes: config.nodes }, kept?.keys()),
    ]);
    kept?.keepKeys(pki.kept);
    kept?.note(false);
    this.#engine = engine;
    if (this.#abort.signal.aborted) await engine.stop();
    this.#abort.signal.throwIfAborted();
    engine.on("failed", (error) => this.#fail(error));
    engine.on("phase", (name) => this.#step(name));
    const disk = kept?.directory.disk;
    engine.on("process", (process) => this.#failFor(!this.#answered && controlPlaneFault(process, disk)));
    engine.on("machine", (name, machine) => this.#failFor(machineFault(name, machine)));
    if (config.outside) serveOutside(engine, config, log);
    this.#step("certificates");
    await engine.sendListener(API_LISTENER, range.api);
    await this.#boot(engine, pki, log, ingress);
  }

  /** Lets other commands ask, from the first moment on. */
  async #serve(state: StateDirectory): Promise<void> {
    this.#control = await serveControl(state.socket, (request) => this.#answer(request));
    state.write(
      "state.json",
      JSON.stringify({ pid: process.pid, address: this.#prefix, kubeconfig: state.kubeconfig, socket: state.socket }),
    );
  }

  async #boot(engine: EngineLink, pki: ClusterPki, log: Logger, ingress: Server | undefined): Promise<void> {
    const { config, installation, kept } = this.#options;
    const state = this.#state as StateDirectory;
    const client = this.#connect(pki);
    const plan: PlanOptions = {
      durable: kept !== undefined,
      ...(this.#group ? { cgroup: this.#group.folder } : {}),
    };
    const booted = engine.boot(clusterPlan(config, pki, plan));
    state.write(
      "kubeconfig",
      kubeconfig({
        cluster: config.name,
        user: "kubernetes-admin",
        server: this.apiUrl,
        ca: pki.ca,
        client: pki.admin,
      }),
    );
    await booted;
    if (kept?.resumed) await client.list(resources.nodes);
    else await createAll(client, addons(config, installation.assets));
    this.#answered = true;
    this.#step("api");
    this.#watch(client, log);
    const exposer = new NodePortExposer(config.nodes, this.#prefix, {
      client,
      engine,
      log,
      signal: this.#abort.signal,
    });
    this.#exposer = exposer;
    const nodes = new NodeWatch(this.#nodes as Informer<Node>, this.#abort.signal);
    await Promise.all([
      exposer.start(),
      ingress && forwardIngress(config, engine, ingress),
      nodes.ready(config, this.#bootedAt),
      nodes.markControlPlane(config, client),
    ]);
    this.#step("nodes ready");
    if (!kept?.resumed) await this.#load(client);
    kept?.note(true);
    const changed = (now: ClusterConfig): Promise<void> => this.#take(now, exposer);
    this.#changes = new NodeChanges(config, {
      engine,
      client,
      pki,
      plan,
      nodes,
      hostAddress: this.#hostAddress,
      place: this.#place,
      changed,
    });
    this.#started = true;
  }

  async #take(config: ClusterConfig, exposer: NodePortExposer): Promise<void> {
    this.#config = config;
    this.#options.kept?.change(config);
    await exposer.setNodes(config.nodes);
  }

  /** Starts the example. All nodes are there by now, so that its pods spread over them. */
  async #load(client: Client): Promise<void> {
    const { config, installation } = this.#options;
    const example = exampleObjects(config, installation.assets);
    await createAll(client, [...example, ...echoPods(config.pods)]);
    this.#step("manifests");
    if (example.length === 0 || this.#ingressPort === undefined) return;
    const at = await firstAnswer(this.#ingressPort, "/wear", "localhost", this.#abort.signal);
    this.#firstAnswerMs = at - this.#options.startedAt;
    this.#step("first answer");
  }

  #connect(pki: ClusterPki): Client {
    this.#transport = http2Transport({ server: this.apiUrl, ca: pki.ca, cert: pki.admin.cert, key: pki.admin.key });
    return new Client(this.#transport, { userAgent: "podwire" });
  }

  #watch(client: Client, log: Logger): void {
    const deps = { log, signal: this.#abort.signal };
    this.#nodes = new Informer(client, resources.nodes, {}, deps);
    this.#pods = new Informer(client, resources.pods, {}, deps);
    this.#nodes.start();
    this.#pods.start();
  }

  /** URL of the API server on the host. */
  get apiUrl(): string {
    return `https://${this.#prefix}.1:${this.#apiPort}`;
  }

  /** What of this computer makes the cluster poorer than it could be; a sentence each. */
  get shortcomings(): readonly string[] {
    const { kind } = this.#engine?.ids ?? {};
    if (kind === "machine")
      return [
        "privileged: root on a node is root of this machine, and files of pulled images belong to ids that are nobody's (docs/services.md)",
      ];
    return kind === "single"
      ? ["this user has no subordinate ids: in pods, chown and servers that change their user fail (podwire doctor)"]
      : [];
  }

  /** What `podwire status` says. */
  status(): ClusterStatus {
    const engine = this.#engine;
    return clusterStatus({
      config: this.#config,
      started: this.#started,
      now: Date.now(),
      nodes: this.#nodes?.list() ?? [],
      pods: this.#pods?.list() ?? [],
      processes: [...(engine?.processes.values() ?? [])],
      machines: engine?.machines ?? new Map(),
      closed: this.#exposer?.failures ?? [],
      kubeconfig: this.#state?.kubeconfig ?? "",
      apiUrl: this.apiUrl,
      ingressPort: this.#ingressPort,
      firstAnswerMs: this.#firstAnswerMs,
      failure: this.#failure,
      timeline: this.#timeline,
      hostAddress: this.#hostAddress,
    });
  }

  readonly #hostAddress = (slot: number): string => hostAddressOf(this.#prefix, slot);

  readonly #place = (machine: string): MachinePlace =>
    placeOf(this.#made(this.#engine), machine, this.#config.privileged ? this.#group : undefined);

  async #answer(request: ControlRequest): Promise<unknown> {
    switch (request.command) {
      case "status":
        return this.status();
      case "down":
        // The answer has to leave before the socket goes.
        setImmediate(() => this.emit("down"));
        return null;
      case "enter":
        return this.#place(request.machine);
      case "node":
        return this.#made(this.#changes).make(request.request);
      case "signal":
        return this.#made(this.#engine).signal(request.process, request.signal);
    }
  }

  /** What a request needs of the cluster. @throws PodwireError "Starting" */
  #made<T>(part: T | undefined): T {
    if (part) return part;
    throw new PodwireError("Starting", `cluster "${this.#config.name}" is still starting`);
  }

  #step(name: string): void {
    const ms = performance.now() - this.#options.startedAt;
    this.#timeline[name] = Math.round(ms * 10) / 10;
    this.emit("step", name, ms);
  }

  #failFor(fault: PodwireError | false | undefined): void {
    if (fault) this.#fail(fault);
  }

  #fail(error: Error): void {
    this.#failure = error.message;
    this.emit("failed", error);
  }

  /** Takes everything down; nothing of it is left on the host. Safe to call at any time, more than once. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#abort.abort(new Error("the cluster is being taken down"));
    this.#control?.close();
    await this.#transport?.close();
    await this.#engine?.stop();
    await this.#images?.stop();
    await this.#group?.release();
    this.#state?.remove();
    this.#options.kept?.directory.close();
  }
}
