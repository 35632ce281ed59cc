import { describe, expect, it } from "vitest";
import {
  attachment,
  batch,
  detachment,
  element,
  mapCreate,
  programInfo,
  programLoad,
  query,
  readMapInfo,
  readProgramInfo,
} from "./attributes.ts";

/** Fields of a buffer that are not zero, by their place: numbers of 32 bits. */
const words = (bytes: Buffer) =>
  Object.fromEntries(
    Array.from({ length: bytes.length / 4 }, (_, n) => [n * 4, bytes.readUInt32LE(n * 4)] as const).filter(
      ([, value]) => value !== 0,
    ),
  );

// Places of fields by union bpf_attr of include/uapi/linux/bpf.h, counted by hand.
describe("arguments of bpf(2)", () => {
  it("a map: type, sizes, entries, flags at 0 to 16, name at 28", () => {
    const hash = mapCreate({ name: "abcd", type: "hash", keySize: 20, valueSize: 16, maxEntries: 512 });
    // BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC
    expect(words(hash)).toEqual({ 0: 1, 4: 20, 8: 16, 12: 512, 16: 1, 28: 0x64636261 });
    const recent = mapCreate({ name: "", type: "lruHash", keySize: 4, valueSize: 8, maxEntries: 1 });
    // BPF_MAP_TYPE_LRU_HASH, which is allocated at once
    expect(words(recent)).toEqual({ 0: 9, 4: 4, 8: 8, 12: 1 });
  });

  it("a long name is cut, so that its end is left", () => {
    const bytes = mapCreate({ name: "0123456789abcdefgh", type: "hash", keySize: 4, valueSize: 4, maxEntries: 1 });
    expect(bytes.toString("latin1", 28, 44)).toBe("0123456789abcde\0");
  });

  it("elements and batches of them", () => {
    expect(words(element(7, 0x1_0000_0002n, 3n))).toEqual({ 0: 7, 8: 2, 12: 1, 16: 3 });
    const from = batch(7, { from: 1n, next: 2n, keys: 3n, values: 4n, count: 5 });
    expect(words(from)).toEqual({ 0: 1, 8: 2, 16: 3, 24: 4, 32: 5, 36: 7 });
  });

  it("a program: BPF_PROG_TYPE_CGROUP_SOCK_ADDR, its hook at 68, its log when one is wanted", () => {
    const program = { name: "pw", hook: "connect4", instructions: 3, code: 100n, license: 200n } as const;
    expect(words(programLoad(program))).toEqual({ 0: 18, 4: 3, 8: 100, 16: 200, 48: 0x7770, 68: 10 });
    const logged = programLoad({ ...program, hook: "getpeername6", log: { address: 300n, length: 400 } });
    expect(words(logged)).toMatchObject({ 24: 1, 28: 400, 32: 300, 68: 30 });
  });

  it("a program that is asked about devices: BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE", () => {
    const program = { name: "pw", hook: "device", instructions: 3, code: 100n, license: 200n } as const;
    expect(words(programLoad(program))).toMatchObject({ 0: 15, 68: 6 });
    expect(words(attachment(5, "device", 6))).toEqual({ 0: 5, 4: 6, 8: 6, 12: 2 });
  });

  it("attaching beside others, in place of one, and taking off", () => {
    // BPF_F_ALLOW_MULTI is 2, BPF_F_REPLACE 4, BPF_CGROUP_UDP6_RECVMSG 20.
    expect(words(attachment(5, "recvmsg6", 6))).toEqual({ 0: 5, 4: 6, 8: 20, 12: 2 });
    expect(words(attachment(5, "recvmsg6", 6, 9))).toEqual({ 0: 5, 4: 6, 8: 20, 12: 6, 16: 9 });
    expect(words(detachment(5, "recvmsg6", 6))).toEqual({ 0: 5, 4: 6, 8: 20 });
    expect(words(query(5, "sendmsg4", 77n, 64))).toEqual({ 0: 5, 4: 14, 16: 77, 24: 64 });
  });

  it("reads what the kernel says of programs and maps", () => {
    const program = programInfo(9n, 64);
    expect(words(program)).toEqual({ 52: 64, 56: 9 });
    program.writeUInt32LE(42, 4);
    program.write("0011223344556677", 8, "hex");
    program.writeUInt32LE(2, 52);
    program.write("pw_connect4", 64);
    expect(readProgramInfo(program)).toEqual({ id: 42, tag: "0011223344556677", maps: 2, name: "pw_connect4" });
    const map = Buffer.alloc(40);
    for (const [index, value] of [9, 43, 4, 8, 16].entries()) map.writeUInt32LE(value, index * 4);
    map.write("pw1_flows", 24);
    const expected = { type: "lruHash", id: 43, keySize: 4, valueSize: 8, maxEntries: 16, name: "pw1_flows" };
    expect(readMapInfo(map)).toEqual(expected);
  });
});
