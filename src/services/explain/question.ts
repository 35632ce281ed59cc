import { PodwireError } from "#base/errors.ts";
import { type Ip, tryParseIp } from "#base/ip.ts";

/** What is asked about: a Service, or an address; of either one port, or all. */
export interface Question {
  readonly service?: { readonly namespace: string; readonly name: string };
  readonly ip?: Ip;
  /** Number or name. */
  readonly port?: string;
  /** TCP, UDP or SCTP. */
  readonly protocol?: string;
}

const FORM =
  "a Service ([namespace/]name[:port[/protocol]], ports 1 to 65535) or an address (10.96.0.10:53/udp, [fd00::a]:53, 10.96.0.10)";

/**
 * Reads what somebody types: `web`, `shop/web:http`, `10.96.0.10:53/udp`, `[fd00:10:96::a]:53`.
 * @param namespace that of a Service without one
 * @throws PodwireError "InvalidConfig" for what is neither a Service nor an address
 */
export function parseQuestion(text: string, namespace: string): Question {
  const lone = tryParseIp(text);
  if (lone) return { ip: lone };
  const match = /^(?<place>\[[^\]]+\]|[^:[\]]+?)(?::(?<port>[a-z0-9-]+)(?:\/(?<protocol>[a-z]+))?)?$/i.exec(text);
  const { place = "", port, protocol: word } = match?.groups ?? {};
  const protocol = word?.toUpperCase();
  if (!match || (protocol !== undefined && !["TCP", "UDP", "SCTP"].includes(protocol))) throw unreadable(text);
  const rest = { ...(port !== undefined && { port }), ...(protocol !== undefined && { protocol }) };
  const ip = tryParseIp(place.replace(/^\[(.*)\]$/, "$1"));
  if (ip) return { ip, ...rest };
  const names = place.split("/");
  if (names.length > 2 || !names.every((name) => /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name))) throw unreadable(text);
  // Four numbers are meant as an address, whatever is wrong with them.
  if (/^\d+(\.\d+)+$/.test(place)) throw unreadable(text);
  if (port !== undefined && /^\d+$/.test(port) && (Number(port) < 1 || Number(port) > 65_535)) throw unreadable(text);
  // A name as DNS knows it.
  const [, ofName, ofNamespace] = /^([^.]+)\.([^.]+)\.svc(?:\..+)?$/.exec(place) ?? [];
  if (ofName !== undefined && ofNamespace !== undefined)
    return { service: { namespace: ofNamespace, name: ofName }, ...rest };
  const [first = "", second] = names;
  return { service: second === undefined ? { namespace, name: first } : { namespace: first, name: second }, ...rest };
}

function unreadable(text: string): PodwireError {
  return new PodwireError("InvalidConfig", `found ${JSON.stringify(text)}; allowed is ${FORM}`);
}
