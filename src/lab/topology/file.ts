import { LineCounter, type Node, parseDocument } from "yaml";
import { PodwireError } from "#base/errors.ts";
import { parseCidr, parseIp } from "#base/ip.ts";
import { baseSysctls, forwardingSysctls, macAddress, type Topology } from "./model.ts";

/**
 * Reads a topology from YAML:
 *
 * ```yaml
 * segments: [left, right]
 * machines:
 *   a: { interfaces: { eth0: { segment: left, address: 192.168.1.2/24 } }, routes: { default: 192.168.1.1 } }
 *   b: { interfaces: { … }, forward: true }
 * ```
 * @throws PodwireError "InvalidConfig" with `file:line`, what was found and what is allowed
 */
export function parseTopology(text: string, file: string): Topology {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const problem = document.errors[0];
  if (problem) throw refuse(`${file}:${lines.linePos(problem.pos[0]).line}: ${problem.message.split("\n")[0]}`);
  const at = (path: readonly (string | number)[]): string => {
    const node = document.getIn(path, true) as Node | undefined;
    return `${file}:${lines.linePos(node?.range?.[0] ?? 0).line}: ${path.join(".")}`;
  };
  const root = record(document.toJS(), at([]), ["segments", "machines"]);
  const segments = list(root["segments"], at(["segments"]));
  const machines = Object.entries(record(root["machines"], at(["machines"])));
  return {
    segments: segments.map((name) => ({ name, mtu: 1500 })),
    machines: machines.map(([name, value], i) => {
      const path = ["machines", name];
      const machine = record(value, at(path), ["interfaces", "routes", "forward"]);
      const routes = record(machine["routes"] ?? {}, at([...path, "routes"]));
      return {
        name,
        interfaces: Object.entries(record(machine["interfaces"] ?? {}, at([...path, "interfaces"]))).map(
          ([device, v], j) => interfaceOf(device, v, segments, 256 * i + j, at([...path, "interfaces", device])),
        ),
        routes: Object.entries(routes).map(([to, via]) => routeOf(to, via, at([...path, "routes", to]))),
        sysctls: machine["forward"] === true ? { ...baseSysctls, ...forwardingSysctls } : baseSysctls,
      };
    }),
  };
}

function refuse(message: string): PodwireError {
  return new PodwireError("InvalidConfig", message);
}

function record(value: unknown, position: string, keys?: readonly string[]): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw refuse(
      `${position}: found ${JSON.stringify(value) ?? "nothing"}; allowed is a map${keys ? ` of ${keys.join(", ")}` : ""}`,
    );
  }
  for (const key of Object.keys(value)) {
    if (keys && !keys.includes(key)) throw refuse(`${position}: unknown key "${key}"; allowed are ${keys.join(", ")}`);
  }
  return value as Record<string, unknown>;
}

function list(value: unknown, position: string): string[] {
  if (!Array.isArray(value) || value.some((v) => typeof v !== "string"))
    throw refuse(`${position}: allowed is a list of names`);
  return value as string[];
}

function routeOf(to: string, via: unknown, position: string): { to: string; via: string } {
  try {
    if (to !== "default") parseCidr(to);
    parseIp(String(via));
  } catch (error) {
    throw refuse(`${position}: ${(error as Error).message}`);
  }
  return { to, via: String(via) };
}

function interfaceOf(name: string, value: unknown, segments: readonly string[], n: number, position: string) {
  const given = record(value, position, ["segment", "address", "altname"]);
  const segment = String(given["segment"]);
  if (!segments.includes(segment))
    throw refuse(`${position}: segment: found "${segment}"; allowed are ${segments.join(", ")}`);
  const addresses =
    given["address"] === undefined
      ? []
      : String(given["address"])
          .split(",")
          .map((a) => a.trim());
  for (const address of addresses) {
    try {
      parseCidr(address);
    } catch (error) {
      throw refuse(`${position}: address: ${(error as Error).message}`);
    }
  }
  const altnames = given["altname"] === undefined ? [] : [String(given["altname"])];
  return { name, altnames, segment, mac: macAddress(segments.indexOf(segment) + 1, n + 2), addresses };
}
