/** eBPF: an assembler, and bpf(2) for maps and for programs of sockets, attached to control groups. */
export { HOOK, type Hook, type MapInfo, type MapSpec, type MapType, type ProgramInfo } from "./attributes.ts";
export { type BpfCall, bpfCall } from "./call.ts";
export {
  alu,
  assemble,
  call,
  exit,
  goto,
  label,
  load,
  map,
  mov,
  type Register,
  reg,
  type Statement,
  store,
  when,
} from "./instructions.ts";
export { type BpfMap, createMap, openMap } from "./maps.ts";
export {
  attachedPrograms,
  attachProgram,
  type BpfProgram,
  describeProgram,
  detachProgram,
  loadProgram,
  openProgram,
} from "./programs.ts";
