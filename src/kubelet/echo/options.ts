/** How an echo server answers. */
export interface EchoOptions {
  readonly ports: readonly number[];
  /** The answer's text; absent: the request and where it arrived. */
  readonly body?: string;
  /** Status of the answer. */
  readonly status: number;
  /** The one path that is answered; 404 elsewhere. */
  readonly only?: string;
}

const DEFAULT_PORT = 8080;

/**
 * Reads the arguments of a `podwire/echo` container: `--port=N` (several allowed), `--body=TEXT`, `--status=N`, `--only=PATH`.
 * @param ports used when no port is named: the container's declared ones
 * @throws Error naming the argument that is not understood, and what is allowed
 */
export function parseEchoOptions(args: readonly string[], ports: readonly number[]): EchoOptions {
  const named: number[] = [];
  let options: Omit<EchoOptions, "ports"> = { status: 200 };
  for (const arg of args) {
    const [, name, value = ""] = /^--([a-z]+)=(.*)$/s.exec(arg) ?? [];
    if (name === "port") named.push(numberOf(arg, value, 1, 65535));
    else if (name === "body") options = { ...options, body: value };
    else if (name === "status") options = { ...options, status: numberOf(arg, value, 200, 599) };
    else if (name === "only") options = { ...options, only: value };
    else
      throw new Error(
        `podwire/echo: unknown argument ${JSON.stringify(arg)}; there are --port=N, --body=TEXT, --status=N, --only=PATH`,
      );
  }
  const chosen = named.length ? named : ports.length ? ports : [DEFAULT_PORT];
  return { ...options, ports: [...new Set(chosen)] };
}

function numberOf(arg: string, value: string, least: number, most: number): number {
  const number = Number(value);
  if (!/^\d+$/.test(value) || number < least || number > most) {
    throw new Error(`podwire/echo: ${arg}: wanted a number from ${least} to ${most}`);
  }
  return number;
}
