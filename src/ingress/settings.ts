import { parseBool } from "./annotations.ts";

/** What the controller's ConfigMap sets (ingress-nginx, user guide "ConfigMap"); times in seconds. */
export interface Settings {
  readonly proxyConnectTimeout: number;
  readonly proxyReadTimeout: number;
  readonly proxySendTimeout: number;
  /** nginx size, such as 1m; 0 for no limit. */
  readonly proxyBodySize: string;
  readonly keepAlive: number;
  readonly workerConnections: number;
  readonly workerShutdownTimeout: number;
  readonly sslRedirect: boolean;
  readonly accessLog: boolean;
  readonly serverTokens: boolean;
}

/** Upstream's defaults, except worker-connections (16384 there; each costs memory whether used or not). */
export const defaultSettings: Settings = {
  proxyConnectTimeout: 5,
  proxyReadTimeout: 60,
  proxySendTimeout: 60,
  proxyBodySize: "1m",
  keepAlive: 75,
  workerConnections: 2048,
  workerShutdownTimeout: 240,
  sslRedirect: true,
  accessLog: true,
  serverTokens: false,
};

type Reader = (text: string) => Partial<Settings> | undefined;

const seconds =
  (name: keyof Settings): Reader =>
  (text) =>
    /^\d{1,7}s?$/.test(text) ? { [name]: Number.parseInt(text, 10) } : undefined;
const count =
  (name: keyof Settings): Reader =>
  (text) =>
    /^[1-9]\d{0,5}$/.test(text) ? { [name]: Number(text) } : undefined;
const size =
  (name: keyof Settings): Reader =>
  (text) =>
    /^\d{1,7}[kmg]?$/i.test(text) ? { [name]: text } : undefined;
const flag =
  (name: keyof Settings, invert = false): Reader =>
  (text) => {
    const value = parseBool(text);
    return value === undefined ? undefined : { [name]: value !== invert };
  };

const readers: Readonly<Record<string, Reader>> = {
  "proxy-connect-timeout": seconds("proxyConnectTimeout"),
  "proxy-read-timeout": seconds("proxyReadTimeout"),
  "proxy-send-timeout": seconds("proxySendTimeout"),
  "proxy-body-size": size("proxyBodySize"),
  "keep-alive": seconds("keepAlive"),
  "max-worker-connections": count("workerConnections"),
  "worker-shutdown-timeout": seconds("workerShutdownTimeout"),
  "ssl-redirect": flag("sslRedirect"),
  "disable-access-log": flag("accessLog", true),
  "server-tokens": flag("serverTokens"),
};

/** Reads the ConfigMap's data; an unknown key or a bad value is a complaint and keeps the default. */
export function readSettings(data: Readonly<Record<string, string>>): { settings: Settings; complaints: string[] } {
  const complaints: string[] = [];
  let settings = defaultSettings;
  for (const [key, text] of Object.entries(data)) {
    const reader = Object.hasOwn(readers, key) ? readers[key] : undefined;
    const value = reader?.(text.trim());
    if (value) settings = { ...settings, ...value };
    else
      complaints.push(
        reader ? `${key}: ${JSON.stringify(text)} is no value for it` : `${key}: not an option of this controller`,
      );
  }
  return { settings, complaints };
}
