import { addressOf, check, isErrno, libc, syscallNumbers } from "#kernel/ffi/index.ts";
import { COMMAND } from "./attributes.ts";

/** bpf(2). @returns what the command gives: a descriptor, or 0 @throws SysError */
export type BpfCall = (command: number, attributes: Buffer) => number;

/** A program is loaded again when a signal came in between: the kernel then says EAGAIN. */
const LOADS = 5;

/** The system call itself. */
export const bpfCall: BpfCall = (command, attributes) => {
  for (let attempt = 1; ; attempt++) {
    try {
      return once(command, attributes);
    } catch (error) {
      const isInterrupted = command === COMMAND.programLoad && isErrno(error, "EAGAIN");
      if (!isInterrupted || attempt === LOADS) throw error;
    }
  }
};

function once(command: number, attributes: Buffer): number {
  const { bpf } = syscallNumbers();
  return check(libc.syscall3(bpf, command, addressOf(attributes), attributes.length), "bpf", nameOf(command));
}

function nameOf(command: number): string {
  return Object.entries(COMMAND).find(([, number]) => number === command)?.[0] ?? `command ${command}`;
}
