import { readFileSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { PodwireError } from "#base/errors.ts";
import type { Http2Options } from "./http2.ts";

/** A kubeconfig's context, ready for http2Transport. */
export interface KubeconfigContext extends Http2Options {
  /** The context's namespace, `default` where it names none. */
  readonly namespace: string;
}

interface NamedEntry<T> {
  readonly name: string;
  readonly value: T;
}
type Fields = Readonly<Record<string, string | undefined>>;

/**
 * Reads a kubeconfig file (clientcmd/v1 Config, YAML or JSON).
 * Throws PodwireError `InvalidKubeconfig` when the context, cluster or user is missing.
 */
export async function loadKubeconfig(path: string, context?: string): Promise<KubeconfigContext> {
  return await parseKubeconfig(await readFile(path, "utf8"), {
    directory: dirname(path),
    path,
    ...(context && { context }),
  });
}

/** Reads a kubeconfig's text; file names in it are relative to `directory`. */
export async function parseKubeconfig(
  text: string,
  from: { readonly directory?: string; readonly path?: string; readonly context?: string } = {},
): Promise<KubeconfigContext> {
  const config = await parseText(text);
  const where = from.path ?? "kubeconfig";
  const contextName = from.context ?? String(config["current-context"] ?? "");
  const context = entry(config, "contexts", "context", contextName, where).value;
  const cluster = entry(config, "clusters", "cluster", context["cluster"] ?? "", where).value;
  const user = entry(config, "users", "user", context["user"] ?? "", where).value;
  const server = cluster["server"];
  if (!server) throw new PodwireError("InvalidKubeconfig", `${where}: cluster "${context["cluster"]}" has no server`);
  const directory = from.directory ?? ".";
  const ca = await pem(cluster, "certificate-authority", directory);
  const cert = await pem(user, "client-certificate", directory);
  const key = await pem(user, "client-key", directory);
  const token = tokenSource(user, directory);
  return {
    server,
    namespace: context["namespace"] ?? "default",
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(token === undefined ? {} : { token }),
  };
}

/** The directory that a pod's service account is mounted at. */
const serviceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * The configuration of a process in a pod: the mounted service account and KUBERNETES_SERVICE_HOST and _PORT.
 * Throws PodwireError `NotInCluster` outside of a pod.
 */
export function inClusterConfig(
  env: Readonly<Record<string, string | undefined>> = process.env,
  directory = serviceAccountDirectory,
): KubeconfigContext {
  const host = env["KUBERNETES_SERVICE_HOST"];
  const port = env["KUBERNETES_SERVICE_PORT"];
  if (!host || !port) {
    const message = "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined: this is not a pod";
    throw new PodwireError("NotInCluster", message);
  }
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    ca: readFileSync(`${directory}/ca.crt`, "utf8"),
    token: fileToken(`${directory}/token`),
    namespace: readFileSync(`${directory}/namespace`, "utf8").trim(),
  };
}

/** JSON is tried first: our own kubeconfigs are JSON inside YAML's syntax, and the YAML parser is slow to load. */
async function parseText(text: string): Promise<Record<string, unknown>> {
  if (text.trimStart().startsWith("{")) {
    try {
      return JSON.parse(text) as Record<string, unknown>;
    } catch {
      // YAML's flow style looks alike.
    }
  }
  const yaml = await import("yaml");
  const config: unknown = yaml.parse(text);
  if (typeof config !== "object" || config === null) {
    throw new PodwireError("InvalidKubeconfig", "a kubeconfig is a mapping");
  }
  return config as Record<string, unknown>;
}

function entry(
  config: Record<string, unknown>,
  list: string,
  field: string,
  name: string,
  where: string,
): NamedEntry<Fields> {
  const found = ((config[list] ?? []) as Record<string, unknown>[]).find((candidate) => candidate["name"] === name);
  if (!found) throw new PodwireError("InvalidKubeconfig", `${where}: no ${field} named "${name}"`, { list, name });
  return { name, value: (found[field] ?? {}) as Fields };
}

/** `NAME-data` is base64 of the PEM and wins over the file `NAME`. */
async function pem(fields: Fields, name: string, directory: string): Promise<string | undefined> {
  const data = fields[`${name}-data`];
  if (data) return Buffer.from(data, "base64").toString("utf8");
  const file = fields[name];
  return file ? await readFile(resolve(directory, file), "utf8") : undefined;
}

function tokenSource(user: Fields, directory: string): (() => string | undefined) | undefined {
  const { token, tokenFile } = user;
  if (token) return () => token;
  return tokenFile ? fileToken(resolve(directory, tokenFile)) : undefined;
}

/** A token file's content, read again when the file was written (kubelets renew projected tokens). */
function fileToken(path: string): () => string | undefined {
  let readAt = -1;
  let token: string | undefined;
  return () => {
    const { mtimeMs } = statSync(path);
    if (mtimeMs !== readAt) {
      token = readFileSync(path, "utf8").trim();
      readAt = mtimeMs;
    }
    return token;
  };
}
