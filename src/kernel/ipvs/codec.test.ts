import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatIp, type Ip, parseIp } from "#base/ip.ts";
import { eachAttribute, MessageWriter, type NetlinkMessage, parseMessages } from "#kernel/netlink/index.ts";
import {
  encodeOperation,
  familyRequest,
  readFamily,
  readReal,
  readServer,
  realServersRequest,
  serversRequest,
  timeoutsRequest,
} from "./codec.ts";
import type { IpvsOperation } from "./model.ts";

const FAMILY = 0x1d;
const written = (operation: IpvsOperation): NetlinkMessage => {
  const writer = new MessageWriter(16);
  encodeOperation(writer, FAMILY, operation);
  return parseMessages(writer.bytes())[0] as NetlinkMessage;
};
const only = (writer: MessageWriter): NetlinkMessage => parseMessages(writer.bytes())[0] as NetlinkMessage;

const ip = (family: 4 | 6) =>
  fc
    .uint8Array({ minLength: family === 4 ? 4 : 16, maxLength: family === 4 ? 4 : 16 })
    .map((bytes): Ip => ({ family, bytes }));
const port = fc.integer({ min: 0, max: 65_535 });
const server = fc.constantFrom(4 as const, 6 as const).chain((family) =>
  fc.record(
    {
      ip: ip(family),
      protocol: fc.constantFrom(6, 17, 132),
      port,
      scheduler: fc.constantFrom("rr", "wrr", "lc", "wlc", "sh", "mh", "sed", "nq"),
      persistentSeconds: fc.integer({ min: 1, max: 86_400 }),
      hashesPort: fc.constant(true),
    },
    { requiredKeys: ["ip", "protocol", "port", "scheduler"] },
  ),
);

describe("IPVS messages", () => {
  it("a virtual server as ipvsadm -A -t 10.96.0.1:80 -s rr -p 10800 sends it", () => {
    const vip = { ip: parseIp("10.96.0.1"), protocol: 6, port: 80 };
    const { type, payload } = written({
      op: "add-server",
      server: { ...vip, scheduler: "rr", persistentSeconds: 10_800 },
    });
    expect(type).toBe(FAMILY);
    const parts = [
      ["01", "01", "0000"], // genlmsghdr: NEW_SERVICE, version 1
      ["5400", "0180"], // SERVICE, nested: 4 + 8 + 8 + 20 + 8 + 8 + 12 + 8 + 8 bytes
      ["0600", "0100", "0200", "0000"], // AF_INET
      ["0600", "0200", "0600", "0000"], // TCP
      ["1400", "0300", "0a600001", "00".repeat(12)],
      ["0600", "0400", "0050", "0000"],
      ["0700", "0600", "727200", "00"], // "rr"
      ["0c00", "0700", "01000000", "ffffffff"], // IP_VS_SVC_F_PERSISTENT of all
      ["0800", "0800", "302a0000"], // 10,800 s
      ["0800", "0900", "ffffffff"],
    ];
    expect(payload.toString("hex")).toBe(parts.flat().join(""));
  });

  it("commands by their numbers in linux/ip_vs.h", () => {
    const key = { ip: parseIp("10.96.0.1"), protocol: 6, port: 80 };
    const real = { ip: parseIp("10.244.1.2"), port: 8080, weight: 1 };
    const commands = [
      { op: "add-server", server: { ...key, scheduler: "rr" } },
      { op: "set-server", server: { ...key, scheduler: "rr" } },
      { op: "delete-server", server: key },
      { op: "add-real", server: key, real },
      { op: "set-real", server: key, real },
      { op: "delete-real", server: key, real },
    ] as const;
    expect(commands.map((operation) => written(operation).payload[0])).toEqual([1, 2, 3, 5, 6, 7]);
    expect(only(serversRequest(FAMILY)).payload[0]).toBe(4);
    expect(only(realServersRequest(FAMILY, key)).payload[0]).toBe(8);
    expect(only(timeoutsRequest(FAMILY, { tcp: 900, tcpFin: 120, udp: 300 })).payload[0]).toBe(12);
  });

  it("reads what it wrote: virtual servers of any kind (property)", () => {
    fc.assert(
      fc.property(server, (one) => {
        expect(readServer(written({ op: "add-server", server: one }))).toEqual({
          ...one,
          ip: { family: one.ip.family, bytes: Uint8Array.from(one.ip.bytes) },
        });
      }),
      { seed: 5, numRuns: 300 },
    );
  });

  it("reads what it wrote: real servers (property)", () => {
    const family = fc.constantFrom(4 as const, 6 as const);
    const weight = fc.integer({ min: 0, max: 65_535 });
    fc.assert(
      fc.property(
        family.chain((f) => fc.record({ server: ip(f), real: fc.record({ ip: ip(f), port, weight }) })),
        ({ server: vip, real }) => {
          const message = written({ op: "set-real", server: { ip: vip, protocol: 6, port: 80 }, real });
          const read = readReal(message, real.ip.family);
          expect(read && { ...read, ip: formatIp(read.ip) }).toEqual({
            ...real,
            ip: formatIp(real.ip),
            activeConnections: 0,
            inactiveConnections: 0,
          });
        },
      ),
      { seed: 6, numRuns: 300 },
    );
  });

  it("leaves out virtual servers of firewall marks, and never reads beyond a broken message (property)", () => {
    const mark = new MessageWriter();
    mark.begin(FAMILY).u8(1).u8(1).u16(0);
    mark.nest(1, () => mark.attributeU16(1, 2).attributeU32(5, 7).attributeText(6, "rr")).end();
    expect(readServer(only(mark))).toBeUndefined();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        const message = { type: FAMILY, flags: 0, sequence: 1, port: 0, payload: Buffer.from(bytes) };
        for (const read of [readServer, (one: NetlinkMessage) => readReal(one, 4), readFamily]) {
          try {
            read(message);
          } catch (error) {
            expect(error).toBeInstanceOf(RangeError);
          }
        }
      }),
      { seed: 7, numRuns: 500 },
    );
  });

  it("asks the family of families by name", () => {
    const { type, payload } = only(familyRequest("IPVS"));
    expect([type, payload[0]]).toEqual([16, 3]);
    const names: string[] = [];
    eachAttribute(payload.subarray(4), (kind, value) => names.push(`${kind} ${value.toString()}`));
    expect(names).toEqual(["2 IPVS\0"]);
  });
});
