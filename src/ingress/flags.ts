import { PodwireError } from "#base/errors.ts";
import { parseBool } from "./annotations.ts";
import type { ControllerOptions } from "./controller.ts";

/** Everything that the command line sets. */
export interface IngressFlags extends ControllerOptions {
  readonly httpPort: number;
  readonly healthzPort: number;
  readonly statusPort: number;
  /** Outside of a pod. */
  readonly kubeconfig?: string;
  /** Sentences about flags of upstream that were given and change nothing here. */
  readonly warnings: readonly string[];
}

/** Flags of ingress-nginx that are accepted without effect: what they switch is fixed here, or not part of it. */
const withoutEffect = new Set([
  "alsologtostderr", "annotations-prefix", "apiserver-host", "default-server-port", "default-ssl-certificate",
  "disable-catch-all", "election-id", "enable-metrics", "enable-ssl-chain-completion", "enable-ssl-passthrough",
  "force-namespace-isolation", "health-check-path", "https-port", "ingress-class-by-name", "logtostderr", "metrics-per-host",
  "profiling", "report-node-internal-ip-address", "shutdown-grace-period", "sort-backends", "ssl-passthrough-proxy-port",
  "stderrthreshold", "stream-port", "sync-period", "sync-rate-limit", "tcp-services-configmap", "udp-services-configmap",
  "update-status-on-shutdown", "v", "validating-webhook", "vmodule",
]); // biome-ignore format: a list of words

const ours = new Set([
  "configmap", "controller-class", "default-backend-service", "healthz-port", "http-port", "ingress-class", "kubeconfig",
  "publish-service", "publish-status-address", "status-port", "update-status", "watch-ingress-without-class", "watch-namespace",
]); // biome-ignore format: a list of words

const booleans = new Set(["update-status", "watch-ingress-without-class"]);

/**
 * Reads the controller's arguments as upstream's flag parser does: `--name=value`, `--name value`, `--bool`. A leading
 * program name (containers say `args: [/nginx-ingress-controller, …]`) is skipped.
 * @throws PodwireError ERR_FLAG for an unknown flag or a bad value
 */
export function parseFlags(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): IngressFlags {
  const { values, warnings } = readValues(argv[0]?.startsWith("-") === false ? argv.slice(1) : argv);
  const text = (name: string) => values.get(name) || undefined;
  const { POD_NAME: name, POD_NAMESPACE: namespace } = env;
  for (const key of ["configmap", "default-backend-service", "publish-service"]) checkKey(key, text(key));
  return {
    ingressClass: text("ingress-class") ?? "nginx",
    controllerClass: text("controller-class") ?? "k8s.io/ingress-nginx",
    // As in 0.21, the version that the notes run: an Ingress without a class is served.
    withoutClass: bool(values, "watch-ingress-without-class", true),
    updateStatus: bool(values, "update-status", true),
    httpPort: port(values, "http-port", 80),
    healthzPort: port(values, "healthz-port", 10254),
    statusPort: port(values, "status-port", 10246),
    warnings,
    ...optional("configMap", text("configmap")),
    ...optional("defaultBackendService", text("default-backend-service")),
    ...optional("watchNamespace", text("watch-namespace")),
    ...optional("publishService", text("publish-service")),
    ...optional("publishStatusAddress", text("publish-status-address")),
    ...optional("kubeconfig", text("kubeconfig")),
    ...(name && namespace ? { pod: { name, namespace } } : {}),
  };
}

function readValues(args: readonly string[]): { values: Map<string, string>; warnings: string[] } {
  const values = new Map<string, string>();
  const warnings: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] ?? "";
    const match = /^--?([a-z][a-z0-9-]*)(?:=(.*))?$/s.exec(arg);
    if (!match?.[1]) throw new PodwireError("ERR_FLAG", `unexpected argument ${JSON.stringify(arg)}`);
    const [, name, value] = match;
    if (withoutEffect.has(name)) {
      warnings.push(`--${name} has no effect here`);
      if (value === undefined && args[index + 1]?.startsWith("-") === false) index++;
      continue;
    }
    if (!ours.has(name)) throw new PodwireError("ERR_FLAG", `unknown flag: --${name}`);
    if (value !== undefined) values.set(name, value);
    else if (booleans.has(name)) values.set(name, "true");
    else if (index + 1 < args.length) values.set(name, args[++index] ?? "");
    else throw new PodwireError("ERR_FLAG", `flag needs an argument: --${name}`);
  }
  return { values, warnings };
}

function bool(values: ReadonlyMap<string, string>, name: string, fallback: boolean): boolean {
  const text = values.get(name);
  if (text === undefined) return fallback;
  const value = parseBool(text);
  if (value === undefined)
    throw new PodwireError("ERR_FLAG", `invalid argument ${JSON.stringify(text)} for "--${name}": not true or false`);
  return value;
}

function port(values: ReadonlyMap<string, string>, name: string, fallback: number): number {
  const text = values.get(name);
  if (text === undefined) return fallback;
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > 65535)
    throw new PodwireError(
      "ERR_FLAG",
      `invalid argument ${JSON.stringify(text)} for "--${name}": not a port from 1 to 65535`,
    );
  return value;
}

function checkKey(flag: string, value: string | undefined): void {
  if (value === undefined || /^[^/]+\/[^/]+$/.test(value)) return;
  throw new PodwireError(
    "ERR_FLAG",
    `invalid argument ${JSON.stringify(value)} for "--${flag}": wanted namespace/name`,
  );
}

function optional<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: string };
}
