import { describe, expect, it } from "vitest";
import { parseIp } from "#base/ip.ts";
import {
  addressRecord,
  endpointKey,
  listOf,
  mapNames,
  mapSpecs,
  memberKey,
  memberRecord,
  serviceRecord,
} from "./records.ts";

const hex = (record: string) => Buffer.from(record, "latin1").toString("hex");

describe("records of the programs' maps", () => {
  it("addresses: IPv4 in IPv6, the port in network order, the protocol", () => {
    expect(hex(addressRecord(parseIp("10.96.0.1"), 0x1234, 6))).toBe(
      "00000000000000000000ffff0a600001" + "1234" + "0600",
    );
    expect(hex(addressRecord(parseIp("fd00::a"), 53, 17))).toBe("fd00000000000000000000000000000a" + "0035" + "1100");
  });

  it("numbers in the machine's order", () => {
    expect(hex(serviceRecord({ list: 1, count: 2, affinitySeconds: 10_800 }))).toBe("0100000002000000302a000000000000");
    expect(listOf(serviceRecord({ list: 0xfffffffe, count: 2, affinitySeconds: 0 }))).toBe(0xfffffffe);
    expect(hex(endpointKey(258, 3))).toBe("0201000003000000");
    expect(hex(memberKey(1, "abc"))).toBe("01000000616263");
    expect([memberRecord(true), memberRecord(false)].map(hex)).toEqual(["01000000", "00000000"]);
  });

  it("fit into the maps, whose names the kernel keeps whole", () => {
    const address = addressRecord(parseIp("::1"), 1, 6);
    expect([address.length, serviceRecord({ list: 1, count: 1, affinitySeconds: 1 }).length]).toEqual([
      mapSpecs.services.keySize,
      mapSpecs.services.valueSize,
    ]);
    expect([endpointKey(1, 1).length, address.length]).toEqual([
      mapSpecs.endpoints.keySize,
      mapSpecs.endpoints.valueSize,
    ]);
    expect([memberKey(1, address).length, memberRecord(true).length]).toEqual([
      mapSpecs.members.keySize,
      mapSpecs.members.valueSize,
    ]);
    for (const name of mapNames) expect(mapSpecs[name].name.length).toBeLessThan(16);
  });
});
