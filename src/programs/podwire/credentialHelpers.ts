import { type ExecFileException, execFile } from "node:child_process";
import { errorMessage, PodwireError } from "#base/errors.ts";
import type { Credentials, Keyring } from "#images/index.ts";

/** Docker Hub's name at helpers (docker/cli, registry.IndexServer). */
const DOCKER_HUB = "https://index.docker.io/v1/";
/** A helper may ask its cloud for a token; one that waits for a person is ended. */
const TIMEOUT_MS = 30_000;
const MAX_OUTPUT = 64 * 1024;
/** Characters of a failed helper's output that are shown. */
const MAX_SHOWN = 1000;
/** What helpers say of a registry that they know nothing of (docker-credential-helpers, credentials/error.go). */
const NOT_FOUND = "credentials not found in native keychain";
/** The user name of an identity token. */
const TOKEN_USER = "<token>";

/** Which helper knows which registry: `credHelpers` and `credsStore` of ~/.docker/config.json. */
export interface HelperNames {
  readonly byHost: Readonly<Record<string, string>>;
  /** For every other registry. */
  readonly store?: string;
}

/** Reads which helpers a file names. @throws Error for what is no JSON, PodwireError for a name that is none */
export function helperNames(content: string): HelperNames {
  const { credHelpers, credsStore } = (JSON.parse(content) ?? {}) as Readonly<Record<string, unknown>>;
  const entries = typeof credHelpers === "object" && credHelpers !== null ? Object.entries(credHelpers) : [];
  const byHost = Object.fromEntries(entries.map(([host, name]) => [host, checked(name)]));
  return { byHost, ...(credsStore ? { store: checked(credsStore) } : {}) };
}

/** It becomes a part of a program's name, never a path. */
function checked(name: unknown): string {
  if (typeof name === "string" && /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) return name;
  throw new PodwireError("InvalidConfig", `${JSON.stringify(name)} is no name of a credential helper`);
}

/**
 * Asks the helpers for some registries; those that know nothing of one are passed over.
 * @param path folders of programs, as $PATH
 * @throws PodwireError "CredentialHelper" when one cannot be run, fails, takes more than 30 s or answers other than JSON
 */
export async function askHelpers(
  { byHost, store }: HelperNames,
  hosts: readonly string[],
  path: string = process.env["PATH"] ?? "",
): Promise<Keyring> {
  const entries: Keyring["entries"][number][] = [];
  for (const host of new Set(hosts)) {
    const server = host === "docker.io" ? DOCKER_HUB : host;
    const name = byHost[host] ?? byHost[server] ?? store;
    const credentials = name === undefined ? undefined : await ask(`docker-credential-${name}`, server, path);
    if (credentials) entries.push({ place: host, credentials });
  }
  return { entries };
}

async function ask(program: string, server: string, path: string): Promise<Credentials | undefined> {
  const { error, output } = await run(program, server, path);
  if (error && output.trim() === NOT_FOUND) return undefined;
  // What it printed may be a secret, unless it says itself that it failed.
  const own = typeof error?.code === "number" ? output.trim().slice(0, MAX_SHOWN) : "";
  if (error) throw failed(program, server, own || errorMessage(error));
  try {
    const { Username: username, Secret: secret } = JSON.parse(output) as Readonly<Record<string, unknown>>;
    if (typeof username !== "string" || typeof secret !== "string") throw new Error("no Username and Secret");
    if (username !== TOKEN_USER) return { username, password: secret };
    return { username: "", password: "", identityToken: secret };
  } catch {
    throw failed(program, server, "its answer is no JSON with Username and Secret");
  }
}

function failed(program: string, server: string, why: string): PodwireError {
  return new PodwireError("CredentialHelper", `error getting credentials for ${server} from ${program}: ${why}`);
}

function run(
  program: string,
  input: string,
  path: string,
): Promise<{ error: ExecFileException | null; output: string }> {
  return new Promise((resolve) => {
    const limits = { timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT, killSignal: "SIGKILL" } as const;
    const child = execFile(program, ["get"], { ...limits, env: { ...process.env, PATH: path } }, (error, output) =>
      resolve({ error, output }),
    );
    // One that ends without reading.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}
