import { describe, expect, it } from "vitest";
import { parseIp } from "#base/ip.ts";
import { FakeConntrack, type Flow } from "#kernel/conntrack/index.ts";
import { serviceFrontends } from "./model/index.ts";
import { cleanStaleFlows } from "./staleFlows.ts";
import { service, slice } from "./testing/objects.ts";

const node = { name: "node01", addresses: [] };
const dns = service("dns", { clusterIP: "10.96.0.10", ports: [{ name: "dns", port: 53, protocol: "UDP" }] });
const frontend = (...addresses: string[]) => {
  const ports = [{ name: "dns", port: 53, protocol: "UDP" as const }];
  const [found] = serviceFrontends(dns, addresses.length ? [slice("dns", addresses, ports)] : [], node);
  if (!found) throw new Error("no frontend");
  return found;
};

/** A UDP flow from 10.244.1.9 to an address, answered from another. */
function flow(sourcePort: number, to: string, answeredFrom: string): Flow {
  const client = parseIp("10.244.1.9");
  const tuple = { protocol: 17, source: client, sourcePort, destination: parseIp(to), destinationPort: 53 };
  const reply = {
    protocol: 17,
    source: parseIp(answeredFrom),
    sourcePort: 53,
    destination: client,
    destinationPort: sourcePort,
  };
  return { original: tuple, reply };
}

describe("stale UDP connections", () => {
  const flows = [
    flow(1, "10.96.0.10", "10.244.1.2"),
    flow(2, "10.96.0.10", "10.244.1.3"),
    flow(3, "10.96.0.10", "10.96.0.10"),
    flow(4, "10.96.0.99", "10.244.1.2"),
  ];
  const left = (changes: Parameters<typeof cleanStaleFlows>[1]) => {
    const conntrack = new FakeConntrack();
    conntrack.add(...flows);
    cleanStaleFlows(conntrack, changes);
    return conntrack.list({ family: 4 }).map(({ original }) => original.sourcePort);
  };

  it.each([
    ["an endpoint went", { before: frontend("10.244.1.2", "10.244.1.3"), after: frontend("10.244.1.3") }, [2, 4]],
    ["the last endpoint went", { before: frontend("10.244.1.2"), after: frontend() }, [3, 4]],
    ["the first endpoint came", { before: frontend(), after: frontend("10.244.1.3") }, [2, 4]],
    ["the Service went", { before: frontend("10.244.1.2") }, [3, 4]],
    ["the process is new", { after: frontend("10.244.1.2") }, [1, 4]],
    [
      "an endpoint came to another one",
      { before: frontend("10.244.1.2"), after: frontend("10.244.1.2", "10.244.1.3") },
      [1, 2, 3, 4],
    ],
  ])("%s", (_, change, expected) => {
    expect(left([change])).toEqual(expected);
  });
});
