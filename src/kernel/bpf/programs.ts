import { closeSync } from "node:fs";
import { errorMessage, PodwireError } from "#base/errors.ts";
import { addressOf, isErrno } from "#kernel/ffi/index.ts";
import {
  attachment,
  byId,
  COMMAND,
  detachment,
  type GroupHook,
  info,
  type ProgramInfo,
  programInfo,
  programLoad,
  QUERY_COUNT,
  query,
  readProgramInfo,
} from "./attributes.ts";
import type { BpfCall } from "./call.ts";
import { SLOT } from "./instructions.ts";

/** What the verifier may say, in bytes. */
const LOG_LENGTH = 65_536;
/** Programs at one hook of a group (BPF_CGROUP_MAX_PROGS), and maps of one program (MAX_USED_MAPS). */
const MOST = 64;

/** A program in the kernel, held by a descriptor. It lives while one, or a group it is attached to, holds it. */
export interface BpfProgram {
  readonly fd: number;
  /** Gives the descriptor back. */
  close(): void;
}

function held(fd: number): BpfProgram {
  return { fd, close: () => closeSync(fd) };
}

/**
 * Loads a program of a hook.
 * @param code by `assemble`
 * @throws SysError EPERM without CAP_BPF and CAP_NET_ADMIN in the initial user namespace; PodwireError `BpfRejected` with
 *   what the verifier says
 */
export function loadProgram(
  call: BpfCall,
  program: { readonly name: string; readonly hook: GroupHook; readonly code: Buffer },
): BpfProgram {
  const { name, hook, code } = program;
  const license = Buffer.from("Apache-2.0\0");
  const given = { name, hook, instructions: code.length / SLOT, code: addressOf(code), license: addressOf(license) };
  try {
    return held(call(COMMAND.programLoad, programLoad(given)));
  } catch (error) {
    if (!isErrno(error, "EACCES") && !isErrno(error, "EINVAL")) throw error;
    // Saying why costs more than the program itself: it is asked when it is needed.
    const log = Buffer.alloc(LOG_LENGTH);
    try {
      return held(
        call(COMMAND.programLoad, programLoad({ ...given, log: { address: addressOf(log), length: log.length } })),
      );
    } catch (again) {
      const said = log.toString("latin1").replace(/\0.*$/s, "").trim();
      const text = `the kernel refused the program ${name}: ${errorMessage(again)}${said && `\n${said}`}`;
      throw new PodwireError("BpfRejected", text, { name, said }, again);
    }
  }
}

/** A program that is there. @throws SysError ENOENT when it is gone; EPERM without CAP_SYS_ADMIN */
export function openProgram(call: BpfCall, id: number): BpfProgram {
  return held(call(COMMAND.programById, byId(id)));
}

/** What a program is, and the ids of its maps. @throws SysError */
export function describeProgram(
  call: BpfCall,
  { fd }: Pick<BpfProgram, "fd">,
): Omit<ProgramInfo, "maps"> & { readonly maps: readonly number[] } {
  const ids = Buffer.alloc(MOST * 4);
  const bytes = programInfo(addressOf(ids), MOST);
  call(COMMAND.info, info(fd, addressOf(bytes), bytes.length));
  const { maps, ...rest } = readProgramInfo(bytes);
  return { ...rest, maps: numbers(ids, maps) };
}

/** Ids of the programs attached to a group itself. @param group descriptor of its folder @throws SysError */
export function attachedPrograms(call: BpfCall, group: number, hook: GroupHook): number[] {
  const ids = Buffer.alloc(MOST * 4);
  const attributes = query(group, hook, addressOf(ids), MOST);
  call(COMMAND.query, attributes);
  return numbers(ids, attributes.readUInt32LE(QUERY_COUNT));
}

/**
 * Attaches a program to a group, beside others; sockets made in the group and in those below it run it. It stays when
 * this process ends, and goes with the group.
 * @param replaced takes the place of this one, at once
 * @throws SysError EPERM without CAP_NET_ADMIN, or where somebody forbids several programs; ENOENT when `replaced` is gone
 */
export function attachProgram(
  call: BpfCall,
  group: number,
  hook: GroupHook,
  program: BpfProgram,
  replaced?: BpfProgram,
): void {
  call(COMMAND.programAttach, attachment(group, hook, program.fd, replaced?.fd));
}

/** Takes a program off a group. @throws SysError ENOENT when it is not there */
export function detachProgram(call: BpfCall, group: number, hook: GroupHook, program: BpfProgram): void {
  call(COMMAND.programDetach, detachment(group, hook, program.fd));
}

function numbers(bytes: Buffer, count: number): number[] {
  return Array.from({ length: Math.min(count, MOST) }, (_, n) => bytes.readUInt32LE(n * 4));
}
