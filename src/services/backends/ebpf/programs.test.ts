import { describe, expect, it } from "vitest";
import { assemble, HOOK, type Hook } from "#kernel/bpf/index.ts";
import { programFor } from "./programs.ts";
import { mapNames } from "./records.ts";

const hooks = Object.keys(HOOK) as Hook[];
const descriptors = Object.fromEntries(mapNames.map((name, index) => [name, 100 + index]));

/** Names of the maps that a program uses. */
const mapsOf = (hook: Hook) => [
  ...new Set(programFor(hook).flatMap((statement) => (statement.kind === "map" ? [statement.name] : []))),
];

describe("programs of sockets", () => {
  it.each(hooks)("%s: all of its frame lies within 512 bytes, and its jumps forward", (hook) => {
    const program = programFor(hook);
    for (const statement of program) {
      if (statement.kind === "store" && statement.dst === 10) {
        expect(statement.at).toBeGreaterThanOrEqual(-512);
        expect(statement.at + statement.width).toBeLessThanOrEqual(0);
      }
    }
    // No loops: the kernel's verifier from 5.15 on takes every such program of this size.
    const code = assemble(program, descriptors);
    for (let at = 0; at < code.length; at += 8) {
      const opcode = code.readUInt8(at);
      const isJump = (opcode & 7) === 5 && opcode !== 0x85 && opcode !== 0x95;
      if (isJump) expect(code.readInt16LE(at + 2)).toBeGreaterThanOrEqual(0);
    }
  });

  it("those that translate know Services, those that translate back only what was translated", () => {
    expect(mapsOf("sendmsg4").sort()).toEqual(["affinity", "endpoints", "flows", "members", "replies", "services"]);
    expect(mapsOf("connect6").sort()).toEqual(["affinity", "endpoints", "members", "peers", "replies", "services"]);
    expect(mapsOf("recvmsg4")).toEqual(["replies"]);
    expect(mapsOf("getpeername6").sort()).toEqual(["peers", "replies"]);
  });

  it("that answers come back under another address never stops them: the kernel wants 1 there", () => {
    for (const hook of hooks)
      expect(programFor(hook).slice(-2)[0]).toEqual({ kind: "alu", what: "mov", dst: 0, by: 1 });
  });
});
