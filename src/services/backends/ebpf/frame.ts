import { alu, call, load, map, mov, type Register, reg, type Statement, store } from "#kernel/bpf/index.ts";
import { type MapName, SOCKET_KEY } from "./records.ts";

/** Functions of the kernel (enum bpf_func_id). */
export const HELPER = {
  lookup: 1,
  update: 2,
  delete: 3,
  now: 5,
  random: 7,
  socketCookie: 46,
  netnsCookie: 122,
} as const;

/** The frame: where each record is, from its end. */
export const FRAME = {
  /** The address that the program was asked about. */
  asked: -24,
  /** The endpoint. */
  target: -48,
  socket: -80,
  endpoint: -88,
  member: -112,
  client: -128,
  remembered: -160,
} as const;

/** The register of the context, which stays. */
export const CTX = 6;
/** The frame's end. */
export const FP = 10;
/** The register for what is moved. */
export const SCRATCH = 1;

/** A place in memory: a register and what is added to it. */
export type Place = readonly [base: Register, at: number];

/** The record of this socket and an address of the frame, at `FRAME.socket`. */
export function socketKey(address: number): Statement[] {
  return [
    mov(1, reg(CTX)),
    call(HELPER.socketCookie),
    store(8, FP, FRAME.socket + SOCKET_KEY.cookie, reg(0)),
    ...movedAddress([FP, FRAME.socket + SOCKET_KEY.address], [FP, address]),
    store(4, FP, FRAME.socket + SOCKET_KEY.zero, 0),
  ];
}

/** First arguments of a helper: a map, and a key in the frame. */
export function withKey(name: MapName, key: number): Statement[] {
  return [map(1, name), mov(2, reg(FP)), alu("add", 2, key)];
}

/** R0 is where the value of a key in the frame is, or 0. */
export function lookUp(name: MapName, key: number): Statement[] {
  return [...withKey(name, key), call(HELPER.lookup)];
}

/** Writes a value of the frame under a key of the frame. */
export function update(name: MapName, key: number, value: number): Statement[] {
  return [...withKey(name, key), mov(3, reg(FP)), alu("add", 3, value), mov(4, 0), call(HELPER.update)];
}

/** Moves bytes by way of {@link SCRATCH}. */
export function moved(width: 4 | 8, [to, toAt]: Place, [from, fromAt]: Place): Statement[] {
  return [load(width, SCRATCH, from, fromAt), store(width, to, toAt, reg(SCRATCH))];
}

/** Moves an address. Records are at multiples of four bytes, and the verifier wants aligned ones. */
export function movedAddress([to, toAt]: Place, [from, fromAt]: Place): Statement[] {
  return [0, 4, 8, 12, 16].flatMap((n) => moved(4, [to, toAt + n], [from, fromAt + n]));
}
