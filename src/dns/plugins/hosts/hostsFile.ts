import { type Ip, tryParseIp } from "#base/ip.ts";
import { lowerName, reverseName, tryParseName } from "#wire/dns/index.ts";

/** Names and addresses of a hosts file. */
export interface HostTable {
  /** Addresses by name, lower case and absolute, in the file's order. */
  readonly addresses: ReadonlyMap<string, readonly Ip[]>;
  /** Names by reverse name (`1.0.0.10.in-addr.arpa.`). */
  readonly names: ReadonlyMap<string, readonly string[]>;
}

/** Reads lines of `ADDRESS NAME…` (hosts(5)); lines that are none are passed over, as the C library does. */
export function parseHosts(text: string): HostTable {
  const addresses = new Map<string, Ip[]>();
  const names = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [address, ...aliases] = (line.split("#")[0] as string).trim().split(/\s+/);
    const ip = tryParseIp(address?.split("%")[0] ?? "");
    if (!ip) continue;
    for (const alias of aliases) {
      const name = tryParseName(alias);
      if (name === undefined) continue;
      append(addresses, lowerName(name), ip);
      append(names, reverseName(ip), name);
    }
  }
  return { addresses, names };
}

/** Both tables' entries, the first one's before the second's. */
export function mergeHosts(first: HostTable, second: HostTable): HostTable {
  const merge = <T>(a: ReadonlyMap<string, readonly T[]>, b: ReadonlyMap<string, readonly T[]>) => {
    const merged = new Map(a);
    for (const [key, values] of b) merged.set(key, [...(merged.get(key) ?? []), ...values]);
    return merged;
  };
  return { addresses: merge(first.addresses, second.addresses), names: merge(first.names, second.names) };
}

function append<T>(map: Map<string, T[]>, key: string, value: T): void {
  const values = map.get(key);
  if (values) values.push(value);
  else map.set(key, [value]);
}
