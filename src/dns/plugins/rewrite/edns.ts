import { type Ip, tryParseIp } from "#base/ip.ts";
import type { Edns } from "#wire/dns/index.ts";
import type { Request } from "../../core/index.ts";
import { CorefileError, integer, type Token } from "../../corefile/index.ts";
import type { Rule } from "./rules.ts";

const nsidCode = 3;
const subnetCode = 8;
const variables: ReadonlySet<string> = new Set(
  "{qname} {qtype} {client_ip} {client_port} {protocol} {server_ip} {server_port}".split(" "),
);

type Action = "set" | "append" | "replace" | "unset";
type Data = (request: Request) => Uint8Array | undefined;

/** `edns0 local|nsid|subnet ACTION … [revert]`: changes an option of the query. @throws CorefileError */
export function ednsRule(words: readonly Token[], at: Token): Rule {
  // Options of a query are never repeated in the answer here: there is nothing to revert.
  const [kind, actionWord, ...rest] = words.at(-1)?.text === "revert" ? words.slice(0, -1) : words;
  if (!kind || !actionWord) throw new CorefileError(at, "too few arguments for an EDNS0 rule");
  const action = actionWord.text.toLowerCase();
  if (action !== "set" && action !== "append" && action !== "replace" && action !== "unset") {
    throw new CorefileError(actionWord, `invalid action: ${JSON.stringify(action)}`);
  }
  const unset = action === "unset";
  const need = (count: number, message: string) => {
    if (rest.length !== count) throw new CorefileError(at, message);
  };
  switch (kind.text.toLowerCase()) {
    case "local": {
      need(unset ? 1 : 2, "EDNS0 local rules require exactly three args");
      const [code, data] = rest as [Token, Token | undefined];
      return optionRule(action, number(code), data ? localData(data) : () => undefined);
    }
    case "nsid":
      need(0, "EDNS0 NSID rules can accept no more than one arg");
      return optionRule(action, nsidCode, () => new Uint8Array(0));
    case "subnet": {
      need(unset ? 0 : 2, "EDNS0 subnet rules require exactly three args");
      const [v4, v6] = rest as [Token, Token];
      if (unset) return optionRule(action, subnetCode, () => undefined);
      const bits = [
        integer(v4.text, v4, "invalid IPv4 bit mask length", 0, 32),
        integer(v6.text, v6, "invalid IPv6 bit mask length", 0, 128),
      ] as const;
      return optionRule(action, subnetCode, (request) => subnet(clientOf(request), bits));
    }
    default:
      throw new CorefileError(kind, `invalid rule type ${JSON.stringify(kind.text)}`);
  }
}

function optionRule(action: Action, code: number, data: Data): Rule {
  return (request) => {
    const edns: Edns = request.message.edns ?? { udpSize: 4096, version: 0, dnssecOk: false, options: [] };
    const there = edns.options.some((option) => option.code === code);
    const value = data(request);
    if (action === "unset" ? !there : value === undefined) return undefined;
    if ((action === "append" && there) || (action === "replace" && !there)) return undefined;
    const others = edns.options.filter((option) => option.code !== code);
    const options = action === "unset" || !value ? others : [...others, { code, data: value }];
    return { request: { ...request, message: { ...request.message, edns: { ...edns, options } } } };
  };
}

function number(token: Token): number {
  const value = /^(0x[0-9a-f]+|\d+)$/i.test(token.text) ? Number(token.text) : Number.NaN;
  if (!(value <= 0xffff))
    throw new CorefileError(token, `option code ${JSON.stringify(token.text)}; expected such as 0xffee`);
  return value;
}

/** Data of a local option: `0x…` as bytes, `{…}` a variable or a metadata label, else the text itself. */
function localData(token: Token): Data {
  const { text } = token;
  if (/^\{.*\}$/.test(text)) {
    if (variables.has(text)) return (request) => variable(text, request);
    const label = text.slice(1, -1);
    if (!/^[^/{}]+\/[^{}]+$/.test(label)) {
      throw new CorefileError(token, `unsupported variable name ${JSON.stringify(text)}`);
    }
    return (request) => {
      const value = request.metadata?.get(label)?.();
      return value ? new TextEncoder().encode(value) : undefined;
    };
  }
  if (!text.startsWith("0x")) return () => new TextEncoder().encode(text);
  if (!/^0x([0-9a-f]{2})*$/i.test(text))
    throw new CorefileError(token, `${text}; expected hexadecimal digits in pairs`);
  return () => Buffer.from(text.slice(2), "hex");
}

function variable(name: string, request: Request): Uint8Array | undefined {
  const { peer, server, question } = request;
  const u16 = (value: number) => Uint8Array.of(value >> 8, value & 255);
  switch (name) {
    case "{qtype}":
      return u16(question.type);
    case "{client_ip}":
      return clientOf(request)?.bytes;
    case "{client_port}":
      return u16(peer.port);
    case "{protocol}":
      return new TextEncoder().encode(peer.protocol);
    case "{server_ip}":
      return peer.local === undefined ? undefined : tryParseIp(peer.local)?.bytes;
    case "{server_port}":
      return u16(Number(server.slice(server.lastIndexOf(":") + 1)));
    default:
      return new TextEncoder().encode(question.name);
  }
}

function clientOf({ peer }: Request): Ip | undefined {
  return tryParseIp(peer.address.split("%")[0] as string);
}

/** Data of a client subnet option: family, length, scope 0, the address' leading bytes (RFC 7871 §6). */
function subnet(client: Ip | undefined, [v4, v6]: readonly [number, number]): Uint8Array | undefined {
  if (!client) return undefined;
  const length = client.family === 4 ? v4 : v6;
  const bytes = client.bytes.slice(0, Math.ceil(length / 8));
  const spare = bytes.length * 8 - length;
  if (spare > 0) bytes[bytes.length - 1] = ((bytes.at(-1) as number) >> spare) << spare;
  return Uint8Array.of(0, client.family === 4 ? 1 : 2, length, 0, ...bytes);
}
