import { readdirSync, readFileSync } from "node:fs";
import { type Labels, Metrics } from "#base/metrics.ts";
import type { Registry } from "../kinds/registry.ts";
import { serverVersion } from "../options.ts";
import type { Store } from "../store/index.ts";
import type { Call, Reply, Sink } from "./call.ts";
import type { RequestInfo } from "./request-info.ts";

/** kube-apiserver's buckets for durations of requests, in seconds. */
const requestBuckets = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
];

const verbs: Readonly<Record<string, string>> = { create: "POST", update: "PUT" };
const mutating = new Set(["POST", "PUT", "PATCH", "DELETE"]);
const methods = new Set([...mutating, "GET", "HEAD", "OPTIONS"]);

/** Counts requests and watches under kube-apiserver's names; everything it knows is the answer of /metrics. */
export class RequestMetrics {
  readonly #metrics = new Metrics();
  readonly #registry: Registry;
  readonly #inflight = { mutating: 0, readOnly: 0 };
  /** Watches that go on, by their labels' text. */
  readonly #watches = new Map<string, { labels: Labels; count: number }>();
  readonly #requests = this.#metrics.counter(
    "apiserver_request_total",
    "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.",
  );
  readonly #durations = this.#metrics.histogram(
    "apiserver_request_duration_seconds",
    "Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.",
    requestBuckets,
  );
  readonly #events = this.#metrics.counter("apiserver_watch_events_total", "Number of events sent in watch clients");

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** Notes that a request has begun; what is returned has to be called with its end. */
  begin(call: Call): (info: RequestInfo | undefined, reply: Reply) => Reply {
    const began = performance.now();
    const kind = mutating.has(call.method) ? "mutating" : "readOnly";
    this.#inflight[kind]++;
    return (info, reply) => {
      this.#inflight[kind]--;
      const labels = labelsOf(info && this.#isServed(info) ? info : undefined, call);
      this.#requests.inc({ code: String(reply.status), ...labels });
      if (!reply.stream) {
        this.#durations.observe((performance.now() - began) / 1000, labels);
        return reply;
      }
      return { ...reply, stream: this.#watched(reply.stream, labels) };
    };
  }

  /** Whether a request is for something that there is: clients must not be able to make up labels. */
  #isServed({ isResource, group, version, resource, subresource }: RequestInfo): boolean {
    if (!isResource) return true;
    if (this.#registry.review(group, version, resource)) return subresource === "";
    const kind = this.#registry.kind(group, version, resource);
    if (!kind) return false;
    return ["", "status", "scale"].includes(subresource) || Object.hasOwn(kind.subresources, subresource);
  }

  #watched(stream: Stream, all: Labels): Stream {
    const { dry_run: _, ...labels } = all;
    const { group = "", version = "", resource = "" } = labels;
    return (sink, signal) => {
      const key = Object.values(labels).join(" ");
      const known = this.#watches.get(key) ?? { labels, count: 0 };
      known.count++;
      this.#watches.set(key, known);
      let open = true;
      const over = () => {
        if (open) known.count--;
        open = false;
      };
      signal.addEventListener("abort", over, { once: true });
      // Written out once per watch: at 50,000 events a second the labels cost a tenth of the server's time.
      return stream(counted(sink, this.#events.series({ group, version, resource }), over), signal);
    };
  }

  /** Everything in Prometheus' text format. */
  text(store: Store): string {
    const gauge = (name: string, help: string, value: number, labels: Labels = {}) =>
      this.#metrics.gauge(name, help).set(value, labels);
    for (const [kind, count] of Object.entries(this.#inflight))
      gauge(
        "apiserver_current_inflight_requests",
        "Maximal number of currently used inflight request limit of this apiserver per request kind in last second.",
        count,
        { request_kind: kind },
      );
    for (const { labels, count } of this.#watches.values())
      gauge(
        "apiserver_longrunning_requests",
        "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component.",
        count,
        labels,
      );
    for (const [resource, count] of store.counts())
      gauge("apiserver_storage_objects", "Number of stored objects at the time of last check split by kind.", count, {
        resource,
      });
    gauge(
      "apiserver_storage_size_bytes",
      "Size of the storage database file physically allocated in bytes.",
      store.logBytes,
    );
    gauge("podwire_store_revision", "Number of the last write.", store.revision);
    const { major, minor, gitVersion: git_version, platform } = serverVersion;
    gauge(
      "kubernetes_build_info",
      "A metric with a constant '1' value labeled by major, minor, git version, and platform.",
      1,
      { git_version, major, minor, platform },
    );
    this.#process(gauge);
    return this.#metrics.text();
  }

  #process(gauge: (name: string, help: string, value: number) => void): void {
    const { user, system } = process.cpuUsage();
    gauge("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", (user + system) / 1e6);
    gauge("process_resident_memory_bytes", "Resident memory size in bytes.", process.memoryUsage.rss());
    const started = Date.now() / 1000 - process.uptime();
    gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", started);
    gauge("process_open_fds", "Number of open file descriptors.", readdirSync("/proc/self/fd").length);
    const pages = Number(readFileSync("/proc/self/statm", "utf8").split(" ")[0]);
    gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", pages * 4096);
  }
}

type Stream = NonNullable<Reply["stream"]>;

function counted(sink: Sink, count: () => void, over: () => void): Sink {
  // Events that stay in this process are nobody's bytes, and its clients always end by their signal.
  if (sink.event) return sink;
  return {
    get backlog() {
      return sink.backlog;
    },
    write(chunk) {
      count();
      sink.write(chunk);
    },
    ready: () => sink.ready(),
    end() {
      over();
      sink.end();
    },
  };
}

function labelsOf(info: RequestInfo | undefined, call: Call): Labels {
  const base = { component: "apiserver", dry_run: "" };
  if (!info?.isResource) {
    const none = { group: "", resource: "", scope: "", subresource: known(info?.path), version: "" };
    return { ...base, ...none, verb: methods.has(call.method) ? call.method : "other" };
  }
  const { group, version, resource, subresource, namespace, name, verb, query } = info;
  const scope = name || verb === "create" ? "resource" : namespace ? "namespace" : "cluster";
  const applied = call.headers["content-type"]?.startsWith("application/apply-patch");
  return {
    ...base,
    dry_run: query.get("dryRun") === "All" ? "All" : "",
    group,
    resource,
    scope,
    subresource,
    verb: (verb === "patch" && applied ? "APPLY" : (verbs[verb] ?? verb.toUpperCase())) || "other",
    version,
  };
}

/** The paths that count by name; any other would let clients make up labels. */
function known(path = ""): string {
  return /^\/(healthz|livez|readyz|metrics|version|openapi\/v[23]|apis?)\/?$/.test(path) ? path : "";
}
