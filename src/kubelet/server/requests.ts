import type { LogOptions } from "../logs/index.ts";

/** A request of the API server that is not what its path promises: HTTP status and text. */
export class RequestError extends Error {
  readonly status: number;
  /** More headers of the answer. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = "RequestError";
    this.status = status;
    this.headers = headers;
  }
}

/** The container that a path names: `/VERB/NAMESPACE/POD[/UID]/CONTAINER`. */
export interface ContainerPath {
  readonly verb: string;
  readonly namespace: string;
  readonly pod: string;
  readonly uid?: string;
  readonly container?: string;
}

/** Takes a path apart. @returns undefined for one without namespace and pod */
export function parseContainerPath(path: string): ContainerPath | undefined {
  const [verb, namespace, pod, ...rest] = path.split("/").slice(1).map(decodeURIComponent);
  if (!verb || !namespace || !pod || rest.length > 2) return undefined;
  const container = rest.at(-1);
  const uid = rest.length === 2 ? rest[0] : undefined;
  return { verb, namespace, pod, ...(uid ? { uid } : {}), ...(container ? { container } : {}) };
}

function isSet(query: URLSearchParams, ...names: readonly string[]): boolean {
  return names.some((name) => ["1", "true"].includes(query.get(name) ?? ""));
}

/** What a command or an attached client is given. */
export interface StreamOptions {
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** Reads the parameters of exec and attach: the node's names (input=1) or the API's (stdin=true). */
export function parseStreamOptions(query: URLSearchParams): StreamOptions {
  const tty = isSet(query, "tty");
  const options = {
    command: query.getAll("command"),
    stdin: isSet(query, "input", "stdin"),
    stdout: isSet(query, "output", "stdout"),
    // A terminal has one output.
    stderr: isSet(query, "error", "stderr") && !tty,
    tty,
  };
  if (!options.stdin && !options.stdout && !options.stderr) {
    throw new RequestError(400, "you must specify at least 1 of stdin, stdout, stderr");
  }
  return options;
}

function wholeNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  if (!/^\d+$/.test(text))
    throw new RequestError(400, `invalid value for ${name}: ${JSON.stringify(text)} is not a whole number`);
  return Number(text);
}

function sinceMs(query: URLSearchParams, nowMs: number): number | undefined {
  const seconds = wholeNumber(query, "sinceSeconds");
  if (seconds !== undefined) return nowMs - seconds * 1000;
  const time = query.get("sinceTime");
  if (!time) return undefined;
  const ms = Date.parse(time);
  if (Number.isNaN(ms)) throw new RequestError(400, `invalid value for sinceTime: ${JSON.stringify(time)}`);
  return ms;
}

/** Reads the parameters of containerLogs (core/v1 PodLogOptions). @throws RequestError */
export function parseLogOptions(query: URLSearchParams, nowMs: number): LogOptions & { readonly previous: boolean } {
  const tailLines = wholeNumber(query, "tailLines") ?? wholeNumber(query, "tail");
  const limitBytes = wholeNumber(query, "limitBytes");
  const since = sinceMs(query, nowMs);
  const stream = query.get("stream");
  return {
    follow: isSet(query, "follow"),
    previous: isSet(query, "previous"),
    timestamps: isSet(query, "timestamps"),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(since === undefined ? {} : { sinceMs: since }),
    ...(stream === "Stdout" ? { stream: "stdout" as const } : stream === "Stderr" ? { stream: "stderr" as const } : {}),
  };
}
