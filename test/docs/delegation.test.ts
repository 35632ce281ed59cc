import { describe, expect, it } from "vitest";
import type { ConfigMap, Pod, Service } from "#api/index.ts";
import { parseCorefile } from "#dns/index.ts";
import { Zone } from "#dns/zone/index.ts";
import { readManifests } from "#lab/manifests/index.ts";
import { addressText, RecordType } from "#wire/dns/index.ts";
import { parseZoneFile } from "#wire/zone/index.ts";

describe("D04 examples/delegation: three servers' zones fit together (part: without a cluster)", () => {
  const objects = readManifests("examples/delegation", ".");
  const of = <T>(kind: string) => objects.filter((object) => object.kind === kind) as T[];
  const addressOf = new Map(of<Service>("Service").map(({ metadata, spec }) => [metadata.name, spec.clusterIP ?? ""]));
  const zoneAt = new Map(
    of<ConfigMap>("ConfigMap").map(({ metadata, data }) => {
      const [block] = parseCorefile("Corefile", data?.["Corefile"] ?? "");
      const zone = block?.directives.find(({ name }) => name === "file")?.args[1]?.text ?? "";
      const origin = zone === "." ? "." : `${zone}.`;
      return [
        addressOf.get(metadata.name),
        new Zone(origin, parseZoneFile(data?.["db"] ?? "", { file: "db", origin }), "db"),
      ];
    }),
  );

  it("each delegation's glue is the address of the server with that zone", () => {
    const walked: string[] = [];
    let at = addressOf.get("root");
    for (let step = 0; step < 5; step++) {
      const zone = zoneAt.get(at ?? "");
      const answer = zone?.lookup("www.my-online-store.com.", RecordType.A);
      walked.push(zone?.origin ?? "");
      if (answer?.authoritative) {
        expect(answer.answers.map(({ type }) => type)).toEqual([RecordType.CNAME, RecordType.A]);
        break;
      }
      const [glue] = answer?.additionals ?? [];
      at = glue?.data.kind === "address" ? addressText(glue.data.address) : undefined;
    }
    expect(walked).toEqual([".", "com.", "my-online-store.com."]);
  });

  it("the client knows each server by its name and address", () => {
    const client = of<Pod>("Pod").find(({ metadata }) => metadata.name === "client");
    const aliases = client?.spec.hostAliases ?? [];
    for (const zone of zoneAt.values()) {
      const server = zone.lookup(zone.origin, RecordType.NS);
      const [ns] = server.answers;
      const [address] = server.additionals;
      const name = ns?.data.kind === "name" ? ns.data.target.slice(0, -1) : "";
      const ip = address?.data.kind === "address" ? addressText(address.data.address) : "";
      expect(aliases).toContainEqual({ ip, hostnames: [name] });
    }
  });
});
