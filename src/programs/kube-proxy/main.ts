import { readFileSync, watch, writeFileSync } from "node:fs";
import {
  Client,
  createEventRecorder,
  type EventRecorder,
  http2Transport,
  inClusterConfig,
  type KubeconfigContext,
  loadKubeconfig,
  type Transport,
} from "#api/index.ts";
import { errorMessage, PodwireError } from "#base/errors.ts";
import { createLogger, type Logger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import { openConntrack } from "#kernel/conntrack/index.ts";
import { type Nftables, openNftables } from "#kernel/nft/index.ts";
import { showCommandLine } from "#kernel/process/index.ts";
import {
  applyConntrackSettings,
  applyOomScore,
  checkConfig,
  checkRights,
  cleanUpAll,
  configText,
  type KubeProxy,
  startKubeProxy,
} from "#services/index.ts";
import { type Settled, settle } from "./configuration.ts";
import { FlagError, type ProxyFlags, parseProxyFlags } from "./flags.ts";

/** Where the API is: the kubeconfig and --master, else the service account of this pod. */
async function apiContext(kubeconfig: string, master: string | undefined, log: Logger): Promise<KubeconfigContext> {
  if (kubeconfig === "" && master === undefined) {
    log.info("Neither kubeconfig file nor master URL was specified, falling back to in-cluster config");
    return inClusterConfig();
  }
  const context = kubeconfig === "" ? { server: "", namespace: "default" } : await readKubeconfig(kubeconfig);
  return master === undefined ? context : { ...context, server: master };
}

/** @throws PodwireError naming the field and the file */
async function readKubeconfig(path: string): Promise<KubeconfigContext> {
  try {
    return await loadKubeconfig(path);
  } catch (error) {
    throw new PodwireError("InvalidKubeconfig", `clientConnection.kubeconfig: ${path}: ${errorMessage(error)}`);
  }
}

/** The text of a file; undefined while it is being replaced. */
function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Upstream ends when its file changes, so that whoever supervises it starts it anew. */
function watchFile(path: string, changed: () => void): void {
  const text = readFileSync(path, "utf8");
  const follow = () => {
    const watcher = watch(path, { persistent: false }, (type) => {
      const isSame = textOf(path) === text;
      if (isSame && type === "change") return;
      watcher.close();
      // Another file with the same text has taken the name: the watch was of the former one.
      if (isSame) follow();
      else changed();
    });
    // It may have changed before the watch was there.
    if (textOf(path) === text) return;
    watcher.close();
    changed();
  };
  follow();
}

/** Upstream's event for a port that could not be opened; undefined: it has none. */
function eventReason(message: string): string | undefined {
  if (message.startsWith("healthz")) return "FailedToStartProxierHealthcheck";
  return message.startsWith("starting metrics server") ? "FailedToStartMetricServer" : undefined;
}

/** A started proxy with what has to be let go of after it. */
class Program {
  readonly #log: Logger;
  readonly #nft: Nftables;
  readonly #stop = new AbortController();
  #proxy: KubeProxy | undefined;
  #transport: Transport | undefined;
  #events: EventRecorder | undefined;
  #isEnding = false;

  constructor(log: Logger, nft: Nftables) {
    this.#log = log;
    this.#nft = nft;
  }

  async start({ config, nodeName }: Settled, { master, configFile }: ProxyFlags): Promise<void> {
    const log = this.#log;
    for (const signal of ["SIGTERM", "SIGINT"] as const)
      process.once(signal, () => void this.end(0, `${signal}: the rules stay`));
    if (configFile !== undefined)
      watchFile(configFile, () => void this.end(1, "content of the proxy server's configuration file was updated"));
    this.#transport = http2Transport(await apiContext(config["clientConnection.kubeconfig"], master, log));
    // Nothing of the machine is changed for a program that cannot run.
    applyConntrackSettings(config, log);
    applyOomScore(config, log);
    const client = new Client(this.#transport, { userAgent: "kube-proxy" });
    const events = createEventRecorder(client, { component: "kube-proxy", host: nodeName }, { log });
    this.#events = events;
    const node = { kind: "Node", name: nodeName, uid: nodeName };
    const proxy = await this.#unlessEnding(
      startKubeProxy(config, nodeName, {
        client,
        log,
        metrics: new Metrics(),
        nft: this.#nft,
        conntrack: openConntrack(),
        signal: this.#stop.signal,
        fatal: (message) => {
          const reason = eventReason(message);
          if (reason) events.event(node, "Warning", reason, message);
          void this.end(1, message);
        },
        healthCheckFailed: (service, message) => {
          const [namespace = "", name = ""] = service.split("/");
          events.event({ kind: "Service", namespace, name }, "Warning", "FailedToStartServiceHealthcheck", message);
        },
      }),
    );
    if (!proxy) return;
    this.#proxy = proxy;
    events.event(node, "Normal", "Starting", "");
  }

  /** What is started; undefined when it was given up because the program is ending, which is no failure. */
  async #unlessEnding<T>(starting: Promise<T>): Promise<T | undefined> {
    try {
      return await starting;
    } catch (error) {
      if (this.#isEnding) return undefined;
      throw error;
    }
  }

  /** Ends the process; established connections and rules stay as they are. */
  async end(code: number, why: string): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    if (code === 0) this.#log.info("Stopping", { why });
    else this.#log.error("Error running ProxyServer", { err: why });
    await this.#proxy?.stop();
    await this.#events?.flush();
    this.#stop.abort(new Error(why));
    await this.#transport?.close();
    process.exit(code);
  }
}

/** The service proxy of a node: `kube-proxy --config=…`. */
async function main(): Promise<void> {
  const args = process.argv.slice(2);
  const flags = parseProxyFlags(args);
  showCommandLine(["kube-proxy", ...args]);
  const settled = settle(flags);
  const { config, notes } = settled;
  const log = createLogger("kube-proxy", { level: config["logging.verbosity"] >= 4 ? "debug" : "info" });
  for (const note of notes) log.info("A setting has no effect", { setting: note });
  if (flags.writeConfigTo !== undefined) {
    writeFileSync(flags.writeConfigTo, configText(config));
    log.info("Wrote configuration", { file: flags.writeConfigTo });
    return;
  }
  if (flags.initOnly) {
    checkConfig(config);
    return applyConntrackSettings(config, log);
  }
  const nft = openNftables();
  await checkRights(nft);
  if (flags.cleanup) return await cleanUpAll({ nft, log });
  checkConfig(config);
  await new Program(log, nft).start(settled, flags);
}

main().then(
  () => {
    // Nothing but a running proxy is left to wait for.
  },
  (error: unknown) => {
    if (error instanceof FlagError && error.code === 0) {
      process.stdout.write(`${error.message}\n`);
      process.exit(0);
    }
    process.stderr.write(`kube-proxy: ${errorMessage(error)}\n`);
    process.exit(1);
  },
);
