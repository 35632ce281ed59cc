import { PodwireError } from "#base/errors.ts";
import { splitBind } from "./checks.ts";
import { configFields, type FieldPath, fieldPaths, type ProxyConfig, ruleOf } from "./fields.ts";

/** Values that somebody gave; the rest are defaults. */
export type GivenConfig = { readonly [P in FieldPath]?: ProxyConfig[P] };

/** A configuration that cannot be. */
export class ProxyConfigError extends PodwireError {
  constructor(message: string) {
    super("InvalidConfig", message);
  }
}

const PORTS = { healthzBindAddress: 10_256, metricsBindAddress: 10_249 } as const;

/** Upstream's defaulting takes zero for "not given" in these. */
const zeroMeansDefault = new Set<FieldPath>([
  "bindAddress",
  "logging.format",
  "clientConnection.contentType",
  "clientConnection.qps",
  "clientConnection.burst",
  "iptables.syncPeriod",
  "iptables.minSyncPeriod",
  "ipvs.syncPeriod",
  "nftables.syncPeriod",
  "nftables.minSyncPeriod",
  "configSyncPeriod",
  "udpIdleTimeout",
]);

/**
 * A whole configuration from what is given, with upstream's defaulting.
 * @param at where a field stands, for messages: `file:line`, or the flag's name
 * @throws ProxyConfigError with what was found and what is allowed
 */
export function settleConfig(given: GivenConfig, at: (path: FieldPath) => string = () => "configuration"): ProxyConfig {
  const values: Record<string, unknown> = {};
  for (const path of fieldPaths) {
    const value = given[path];
    const isDefault = value === undefined || ((value === 0 || value === "") && zeroMeansDefault.has(path));
    values[path] = isDefault ? configFields[path].value : value;
  }
  const config = { ...(values as unknown as ProxyConfig), ...bindAddresses(given) };
  for (const path of fieldPaths) {
    const wrong = problem(path, config[path]);
    if (wrong)
      throw new ProxyConfigError(`${at(path)}: ${path}: Invalid value: ${shown(path, config[path])}: ${wrong}`);
  }
  checkPeriods(config, at);
  checkLocalMode(config, at);
  return config;
}

/**
 * Where health and metrics are served. As upstream, a bindAddress that is given decides for health: at all addresses
 * of its family. Where none is given, health is on loopback too.
 */
function bindAddresses(given: GivenConfig): Pick<ProxyConfig, keyof typeof PORTS> {
  const isIpv6 = given.bindAddress?.includes(":") === true;
  const loopback = isIpv6 ? "[::1]" : "127.0.0.1";
  const everywhere = isIpv6 ? "[::]" : "0.0.0.0";
  const hosts = { healthzBindAddress: given.bindAddress ? everywhere : loopback, metricsBindAddress: loopback };
  const of = (path: keyof typeof PORTS): string => {
    const text = given[path] || hosts[path];
    const bound = splitBind(text);
    // What is wrong is left as it is for the check to name.
    if (!bound || bound.port !== undefined) return text;
    return `${bound.host.includes(":") ? `[${bound.host}]` : bound.host}:${PORTS[path]}`;
  };
  return { healthzBindAddress: of("healthzBindAddress"), metricsBindAddress: of("metricsBindAddress") };
}

function problem(path: FieldPath, value: unknown): string | undefined {
  return ruleOf(path)?.check?.(value as never);
}

function checkPeriods(config: ProxyConfig, at: (path: FieldPath) => string): void {
  for (const mode of ["iptables", "ipvs", "nftables"] as const) {
    const [period, least] = [`${mode}.syncPeriod`, `${mode}.minSyncPeriod`] as const;
    const fail = (path: FieldPath, words: string) =>
      new ProxyConfigError(`${at(path)}: ${path}: Invalid value: ${config[path]} ms: ${words}`);
    if (config[period] <= 0) throw fail(period, "must be greater than 0");
    if (config[least] < 0) throw fail(least, "must be greater than or equal to 0");
    if (config[least] > config[period]) throw fail(period, `must be greater than or equal to ${least}`);
  }
  if (config.configSyncPeriod <= 0)
    throw new ProxyConfigError(`${at("configSyncPeriod")}: configSyncPeriod: must be greater than 0`);
}

/** What tells pods' traffic has to be there in the mode that asks for it. */
function checkLocalMode(config: ProxyConfig, at: (path: FieldPath) => string): void {
  const { detectLocalMode } = config;
  const needed = {
    BridgeInterface: "detectLocal.bridgeInterface",
    InterfaceNamePrefix: "detectLocal.interfaceNamePrefix",
  } as const;
  if (!(detectLocalMode in needed)) return;
  const path = needed[detectLocalMode as keyof typeof needed];
  if (config[path] === "")
    throw new ProxyConfigError(`${at("detectLocalMode")}: ${path}: needed with detectLocalMode ${detectLocalMode}`);
}

function shown(path: FieldPath, value: unknown): string {
  return `${JSON.stringify(value)}${ruleOf(path)?.type === "duration" ? " ms" : ""}`;
}

/** Fields that were given, differ from the default and change nothing: `field: why`. */
export function fieldNotes(given: GivenConfig): string[] {
  return fieldPaths.flatMap((path) => {
    const { value: usual, note } = ruleOf(path) ?? {};
    const value = given[path];
    const isUsual = value === undefined || JSON.stringify(value) === JSON.stringify(usual) || isZero(value);
    return note === undefined || isUsual ? [] : [`${path}: ${note}`];
  });
}

/** What a field holds that nobody filled in: kubeadm writes all of them. */
function isZero(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (typeof value === "object" && value !== null) return Object.values(value).every(isZero);
  return value === null || value === "" || value === "0" || value === 0 || value === false;
}
