import { isIP } from "node:net";
import { resolve } from "node:path";
import { errorMessage, hasCode } from "#base/errors.ts";
import type { SetupContext } from "../../core/index.ts";
import { CorefileError, hostPort, type Token } from "../../corefile/index.ts";
import type { Target } from "./exchange.ts";

type Files = Pick<SetupContext, "directory" | "readText">;

/** Most upstreams of one forward, as in CoreDNS. */
const maxTargets = 15;

/**
 * Servers that the words behind a zone name: `ADDRESS[:PORT]`, `dns://ADDRESS[:PORT]`, `tls://ADDRESS[%NAME][:PORT]`,
 * or a file in the form of resolv.conf. @throws CorefileError for anything else
 */
export function readTargets(tokens: readonly Token[], context: Files): Target[] {
  const targets = tokens.flatMap((token) => targetsOf(token, context));
  const last = tokens.at(-1);
  if (last && targets.length > maxTargets) {
    throw new CorefileError(last, `more than ${maxTargets} TOs configured: ${targets.length}`);
  }
  return targets;
}

function targetsOf(token: Token, context: Files): Target[] {
  const [, scheme, rest] = /^(?:([a-z0-9]+):\/\/)?(.*)$/.exec(token.text) as unknown as [
    string,
    string | undefined,
    string,
  ];
  if (scheme === "tls") return [tlsTarget(rest, token)];
  if (scheme !== undefined && scheme !== "dns") {
    throw new CorefileError(
      token,
      `${scheme}:// upstreams are not there; expected ADDRESS[:PORT], dns://ADDRESS, tls://ADDRESS or a file`,
    );
  }
  const text = isAddress(rest, token) ? undefined : fileText(rest, token, context);
  if (text !== undefined) {
    const servers = parseResolvConf(text);
    if (servers.length === 0) throw new CorefileError(token, `no nameservers found in ${token.text}`);
    return servers.map((host) => ({ host, port: 53 }));
  }
  const target = hostPort(rest, token, 53);
  if (isIP(target.host.split("%")[0] as string) === 0) {
    throw new CorefileError(token, `not an IP address or file: ${JSON.stringify(token.text)}`);
  }
  return [target];
}

/** `9.9.9.9%dns.quad9.net:853`: a name behind the percent sign, which in an address would be a zone. */
function tlsTarget(text: string, token: Token): Target {
  const [, before, servername, after = ""] = /^([^%]*)(?:%([A-Za-z0-9.-]+)(\]?(?::\d+)?))?$/.exec(text) ?? [];
  const { host, port } = hostPort(`${before ?? text}${after}`, token, 853);
  if (isIP(host) === 0) throw new CorefileError(token, `not an IP address or file: ${JSON.stringify(token.text)}`);
  return { host, port, tls: servername === undefined ? {} : { servername } };
}

/** The text of a file; nothing where none of this name is. */
function fileText(name: string, token: Token, { directory, readText }: Files): string | undefined {
  try {
    return readText(resolve(directory, name));
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EISDIR"].some((code) => hasCode(error, code))) return undefined;
    throw new CorefileError(token, errorMessage(error));
  }
}

function isAddress(text: string, token: Token): boolean {
  try {
    return isIP(hostPort(text, token, 53).host) !== 0;
  } catch {
    return false;
  }
}

/** The nameserver addresses of a resolv.conf, in order (resolv.conf(5)). */
export function parseResolvConf(text: string): string[] {
  const servers: string[] = [];
  for (const line of text.split("\n")) {
    const match = /^\s*nameserver\s+(\S+)/.exec(line);
    if (match?.[1] && isIP(match[1].split("%")[0] as string) !== 0) servers.push(match[1]);
  }
  return servers;
}
