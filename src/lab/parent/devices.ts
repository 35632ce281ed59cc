import { closeSync, constants, openSync } from "node:fs";
import {
  alu,
  assemble,
  attachProgram,
  type BpfCall,
  bpfCall,
  exit,
  label,
  load,
  loadProgram,
  mov,
  type Statement,
  when,
} from "#kernel/bpf/index.ts";

/** Character devices of machines and pods, as other labs have them (kernel documentation, devices.txt). */
const ALLOWED: readonly (readonly [major: number, minors: readonly number[]])[] = [
  // null, zero, full, random, urandom
  [1, [3, 5, 7, 8, 9]],
  // tty, ptmx
  [5, [0, 2]],
  // net/tun
  [10, [200]],
];
/** Majors of the far ends of terminals, /dev/pts. */
const FIRST_PTS = 136;
const LAST_PTS = 143;
/** struct bpf_cgroup_dev_ctx: what is asked (access in the high half, BPF_DEVCG_DEV_CHAR in the low), major, minor. */
const CONTEXT = { access: 0, major: 4, minor: 8 } as const;
const CHARACTER = 2;

/** Answers 1 for what is allowed, 0 for the rest. */
function deviceProgram(): Statement[] {
  return [
    load(4, 2, 1, CONTEXT.access),
    load(4, 3, 1, CONTEXT.major),
    load(4, 4, 1, CONTEXT.minor),
    mov(0, 0),
    alu("and", 2, 0xffff),
    when("ne", 2, CHARACTER, "end"),
    ...ALLOWED.flatMap(([major, minors], n) => [
      when("ne", 3, major, `after ${n}`),
      ...minors.map((minor) => when("eq", 4, minor, "allow")),
      label(`after ${n}`),
    ]),
    when("lt", 3, FIRST_PTS, "end"),
    when("gt", 3, LAST_PTS, "end"),
    label("allow"),
    mov(0, 1),
    label("end"),
    exit(),
  ];
}

/**
 * Keeps the processes of a group, and of those below it, from this computer's devices, its disks above all: root may
 * open them wherever it finds or makes them. Goes with the group.
 * @param folder of the group
 * @throws SysError EPERM, EINVAL in a kernel without CONFIG_CGROUP_BPF; PodwireError "BpfRejected"
 */
export function confineDevices(folder: string, call: BpfCall = bpfCall): void {
  const group = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const program = loadProgram(call, { name: "pw_device", hook: "device", code: assemble(deviceProgram(), {}) });
    try {
      attachProgram(call, group, "device", program);
    } finally {
      program.close();
    }
  } finally {
    closeSync(group);
  }
}
