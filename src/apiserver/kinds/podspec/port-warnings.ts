import type { V1Container, V1ContainerPort } from "@kubernetes/client-node";

/** A container and the path at which it stands. */
export type Placed = readonly [container: V1Container, path: string];

interface Port {
  readonly number: number;
  readonly path: string;
  readonly host: number;
  readonly ip: string;
}

/** More of these than an answer has room for, which shows 4096 characters of warnings. */
const most = 128;

/**
 * Warns of ports of the same number and protocol: of each with those before it that it may be mixed up with. Ports are
 * found by what they have in common, since a pod may have tens of thousands.
 * Source: k8s.io/kubernetes/pkg/api/pod/warnings.go.
 */
export function portWarnings(containers: readonly Placed[]): string[] {
  const known = new Map<string, Port[]>();
  const out: string[] = [];
  let number = 0;
  for (const [{ ports = [] }, at] of containers) {
    for (const [i, raw] of ports.entries()) {
      const port = { number: number++, path: `${at}.ports[${i}]`, host: raw.hostPort ?? 0, ip: raw.hostIP ?? "" };
      const [all, onHost, onAddress] = keysOf(raw, port.host, port.ip);
      for (const other of likes(known, raw, port, most - out.length))
        out.push(`${port.path}: ${relation(port, other)} port definition with ${other.path}`);
      if (out.length >= most) return out;
      for (const key of [all, onHost, onAddress]) {
        const list = known.get(key);
        if (list) list.push(port);
        else known.set(key, [port]);
      }
    }
  }
  return out;
}

/** What ports are found by: number and protocol; these and the host's port; these and the host's address. */
function keysOf({ containerPort, protocol }: V1ContainerPort, host: number, ip: string) {
  const all = `${protocol}/${containerPort}`;
  return [all, `${all} ${host}`, `${all} ${host} ${ip}`] as const;
}

/** The first ports before one that have to do with it. */
function likes(known: ReadonlyMap<string, Port[]>, raw: V1ContainerPort, port: Port, count: number): Port[] {
  const [all, onHost] = keysOf(raw, port.host, port.ip);
  const keys = [all];
  if (port.host !== 0) {
    // Without an address it is on all of them.
    keys.splice(0, 1, `${all} 0`, ...(port.ip === "" ? [onHost] : [`${onHost} `, `${onHost} ${port.ip}`]));
  }
  const found = keys.flatMap((key) => known.get(key)?.slice(0, count) ?? []);
  return found.sort((a, b) => a.number - b.number).slice(0, count);
}

function relation(a: Port, b: Port): string {
  if (a.host === b.host && a.ip === b.ip) return "duplicate";
  return a.host === 0 || b.host === 0 ? "overlapping" : "dangerously ambiguous";
}
