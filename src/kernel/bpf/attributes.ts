/**
 * Arguments of bpf(2): union bpf_attr (include/uapi/linux/bpf.h). Pure; addresses are those of memory that the caller
 * keeps. Fields that are not named are zero, which the kernel takes for its default.
 */

/** Commands (enum bpf_cmd). */
export const COMMAND = {
  mapCreate: 0,
  mapLookup: 1,
  mapUpdate: 2,
  mapDelete: 3,
  programLoad: 5,
  programAttach: 8,
  programDetach: 9,
  programById: 13,
  mapById: 14,
  info: 15,
  query: 16,
  mapLookupBatch: 24,
  mapUpdateBatch: 26,
  mapDeleteBatch: 27,
} as const;

/** Kinds of maps (enum bpf_map_type). */
export const MAP_TYPE = { hash: 1, array: 2, lruHash: 9 } as const;
export type MapType = keyof typeof MAP_TYPE;

/** Elements are allocated as they come (BPF_F_NO_PREALLOC); hashes alone. */
const NO_PREALLOC = 1;
/** Several programs may be attached (BPF_F_ALLOW_MULTI); one takes another's place (BPF_F_REPLACE). */
const ALLOW_MULTI = 2;
const REPLACE = 4;
/** struct sock_addr's programs (BPF_PROG_TYPE_CGROUP_SOCK_ADDR). */
const CGROUP_SOCK_ADDR = 18;
/** struct bpf_cgroup_dev_ctx's (BPF_PROG_TYPE_CGROUP_DEVICE). */
const CGROUP_DEVICE = 15;
/** Longest name of an object, in bytes, without the end (BPF_OBJ_NAME_LEN). */
const NAME_LENGTH = 15;

/** Where programs of sockets are attached (enum bpf_attach_type). */
export const HOOK = {
  connect4: 10,
  connect6: 11,
  sendmsg4: 14,
  sendmsg6: 15,
  recvmsg4: 19,
  recvmsg6: 20,
  getpeername4: 29,
  getpeername6: 30,
} as const;
export type Hook = keyof typeof HOOK;

/** Every hook of a control group: those of sockets, and the one that is asked when a device is opened or made. */
const ALL_HOOKS = { ...HOOK, device: 6 } as const;
export type GroupHook = keyof typeof ALL_HOOKS;

/** A map to be made. */
export interface MapSpec {
  readonly name: string;
  readonly type: MapType;
  /** In bytes. */
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
}

function attributes(length: number): Buffer {
  return Buffer.alloc(length);
}

/** A name, cut to what the kernel keeps. */
function name(bytes: Buffer, at: number, text: string): void {
  bytes.write(text.slice(0, NAME_LENGTH), at, "latin1");
}

/** BPF_MAP_CREATE. */
export function mapCreate({ name: text, type, keySize, valueSize, maxEntries }: MapSpec): Buffer {
  const bytes = attributes(48);
  bytes.writeUInt32LE(MAP_TYPE[type], 0);
  bytes.writeUInt32LE(keySize, 4);
  bytes.writeUInt32LE(valueSize, 8);
  bytes.writeUInt32LE(maxEntries, 12);
  bytes.writeUInt32LE(type === "hash" ? NO_PREALLOC : 0, 16);
  name(bytes, 28, text);
  return bytes;
}

/** BPF_MAP_LOOKUP_ELEM, _UPDATE_ELEM, _DELETE_ELEM. */
export function element(fd: number, key: bigint, value = 0n): Buffer {
  const bytes = attributes(32);
  bytes.writeUInt32LE(fd, 0);
  bytes.writeBigUInt64LE(key, 8);
  bytes.writeBigUInt64LE(value, 16);
  return bytes;
}

/** Of a batch: how many there were is written into its attributes. */
export const BATCH_COUNT = 32;

/** BPF_MAP_*_BATCH. @param from where the last one ended; 0 for the first */
export function batch(
  fd: number,
  {
    from = 0n,
    next = 0n,
    keys,
    values = 0n,
    count,
  }: {
    readonly from?: bigint;
    readonly next?: bigint;
    readonly keys: bigint;
    readonly values?: bigint;
    readonly count: number;
  },
): Buffer {
  const bytes = attributes(56);
  for (const [index, address] of [from, next, keys, values].entries()) bytes.writeBigUInt64LE(address, index * 8);
  bytes.writeUInt32LE(count, BATCH_COUNT);
  bytes.writeUInt32LE(fd, 36);
  return bytes;
}

/** BPF_PROG_LOAD of a program for a hook. */
export function programLoad(program: {
  readonly name: string;
  readonly hook: GroupHook;
  readonly instructions: number;
  readonly code: bigint;
  readonly license: bigint;
  readonly log?: { readonly address: bigint; readonly length: number };
}): Buffer {
  const bytes = attributes(72);
  bytes.writeUInt32LE(program.hook === "device" ? CGROUP_DEVICE : CGROUP_SOCK_ADDR, 0);
  bytes.writeUInt32LE(program.instructions, 4);
  bytes.writeBigUInt64LE(program.code, 8);
  bytes.writeBigUInt64LE(program.license, 16);
  if (program.log) {
    bytes.writeUInt32LE(1, 24);
    bytes.writeUInt32LE(program.log.length, 28);
    bytes.writeBigUInt64LE(program.log.address, 32);
  }
  name(bytes, 48, program.name);
  bytes.writeUInt32LE(ALL_HOOKS[program.hook], 68);
  return bytes;
}

/** BPF_PROG_ATTACH and _DETACH. @param replaced the program whose place it takes */
export function attachment(group: number, hook: GroupHook, program: number, replaced?: number): Buffer {
  const bytes = attributes(20);
  bytes.writeUInt32LE(group, 0);
  bytes.writeUInt32LE(program, 4);
  bytes.writeUInt32LE(ALL_HOOKS[hook], 8);
  bytes.writeUInt32LE(replaced === undefined ? ALLOW_MULTI : ALLOW_MULTI | REPLACE, 12);
  bytes.writeUInt32LE(replaced ?? 0, 16);
  return bytes;
}

/** BPF_PROG_DETACH: the kernel wants no flags here. */
export function detachment(group: number, hook: GroupHook, program: number): Buffer {
  const bytes = attachment(group, hook, program);
  bytes.writeUInt32LE(0, 12);
  return bytes;
}

/** Of a query: how many programs there are is written into its attributes. */
export const QUERY_COUNT = 24;

/** BPF_PROG_QUERY: programs attached to a group itself. */
export function query(group: number, hook: GroupHook, ids: bigint, count: number): Buffer {
  const bytes = attributes(32);
  bytes.writeUInt32LE(group, 0);
  bytes.writeUInt32LE(ALL_HOOKS[hook], 4);
  bytes.writeBigUInt64LE(ids, 16);
  bytes.writeUInt32LE(count, QUERY_COUNT);
  return bytes;
}

/** BPF_PROG_GET_FD_BY_ID and BPF_MAP_GET_FD_BY_ID. */
export function byId(id: number): Buffer {
  const bytes = attributes(12);
  bytes.writeUInt32LE(id, 0);
  return bytes;
}

/** BPF_OBJ_GET_INFO_BY_FD. */
export function info(fd: number, address: bigint, length: number): Buffer {
  const bytes = attributes(16);
  bytes.writeUInt32LE(fd, 0);
  bytes.writeUInt32LE(length, 4);
  bytes.writeBigUInt64LE(address, 8);
  return bytes;
}

/** What is asked of a program, in bytes: until its name ends (struct bpf_prog_info). */
export const PROGRAM_INFO_LENGTH = 80;

/** struct bpf_prog_info, asking for the ids of maps as well. */
export function programInfo(ids: bigint, count: number): Buffer {
  const bytes = attributes(PROGRAM_INFO_LENGTH);
  bytes.writeUInt32LE(count, 52);
  bytes.writeBigUInt64LE(ids, 56);
  return bytes;
}

/** What a program is. */
export interface ProgramInfo {
  readonly id: number;
  /** Of its instructions, whatever maps it uses. */
  readonly tag: string;
  readonly name: string;
  /** How many maps it uses. */
  readonly maps: number;
}

/** Reads struct bpf_prog_info. */
export function readProgramInfo(bytes: Buffer): ProgramInfo {
  return {
    id: bytes.readUInt32LE(4),
    tag: bytes.toString("hex", 8, 16),
    maps: bytes.readUInt32LE(52),
    name: text(bytes, 64),
  };
}

/** What is asked of a map, in bytes: until its name ends (struct bpf_map_info). */
export const MAP_INFO_LENGTH = 40;

/** What a map is; `type` undefined for one that we do not make. */
export interface MapInfo extends Omit<MapSpec, "type"> {
  readonly id: number;
  readonly type: MapType | undefined;
}

/** Reads struct bpf_map_info. */
export function readMapInfo(bytes: Buffer): MapInfo {
  const type = bytes.readUInt32LE(0);
  return {
    type: (Object.keys(MAP_TYPE) as MapType[]).find((one) => MAP_TYPE[one] === type),
    id: bytes.readUInt32LE(4),
    keySize: bytes.readUInt32LE(8),
    valueSize: bytes.readUInt32LE(12),
    maxEntries: bytes.readUInt32LE(16),
    name: text(bytes, 24),
  };
}

function text(bytes: Buffer, at: number): string {
  return bytes.toString("latin1", at, at + NAME_LENGTH).replace(/\0.*$/s, "");
}
