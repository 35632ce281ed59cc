import { closeSync } from "node:fs";
import { addressOf, isErrno } from "#kernel/ffi/index.ts";
import {
  BATCH_COUNT,
  batch,
  byId,
  COMMAND,
  element,
  info,
  MAP_INFO_LENGTH,
  type MapInfo,
  type MapSpec,
  mapCreate,
  readMapInfo,
} from "./attributes.ts";
import type { BpfCall } from "./call.ts";

/** Elements of one call. */
const BATCH = 4096;
/** Where a batch ended: the number of a bucket. */
const CURSOR_LENGTH = 4;

/** A map in the kernel, held by a descriptor. It lives while one, or a program that uses it, holds it. */
export class BpfMap {
  readonly fd: number;
  readonly #call: BpfCall;
  readonly #keySize: number;
  readonly #valueSize: number;

  constructor(call: BpfCall, fd: number, { keySize, valueSize }: Pick<MapSpec, "keySize" | "valueSize">) {
    this.#call = call;
    this.fd = fd;
    this.#keySize = keySize;
    this.#valueSize = valueSize;
  }

  /** The value of a key; undefined when it is not there. @throws SysError */
  get(key: Buffer): Buffer | undefined {
    this.#checkKey(key);
    const value = Buffer.alloc(this.#valueSize);
    try {
      this.#call(COMMAND.mapLookup, element(this.fd, addressOf(key), addressOf(value)));
      return value;
    } catch (error) {
      if (isErrno(error, "ENOENT")) return undefined;
      throw error;
    }
  }

  /** Writes elements, new or in place of others; each one at once for programs, in this order. @throws SysError E2BIG when it is full */
  set(entries: readonly (readonly [key: Buffer, value: Buffer])[]): void {
    for (const part of parts(entries)) {
      for (const [key, value] of part) {
        this.#checkKey(key);
        if (value.length !== this.#valueSize) throw new RangeError(`a value has ${this.#valueSize} bytes`);
      }
      const keys = Buffer.concat(part.map(([key]) => key));
      const values = Buffer.concat(part.map(([, value]) => value));
      const where = { keys: addressOf(keys), values: addressOf(values), count: part.length };
      this.#call(COMMAND.mapUpdateBatch, batch(this.fd, where));
    }
  }

  /** Removes elements. @throws SysError ENOENT when one is not there; those before it are removed */
  delete(keys: readonly Buffer[]): void {
    for (const part of parts(keys)) {
      for (const key of part) this.#checkKey(key);
      const all = Buffer.concat(part);
      this.#call(COMMAND.mapDeleteBatch, batch(this.fd, { keys: addressOf(all), count: part.length }));
    }
  }

  /** Everything in it, of a hash. What changes meanwhile may be missed. @throws SysError */
  entries(): (readonly [key: Buffer, value: Buffer])[] {
    const found: (readonly [Buffer, Buffer])[] = [];
    let cursor: Buffer | undefined;
    for (;;) {
      const keys = Buffer.alloc(BATCH * this.#keySize);
      const values = Buffer.alloc(BATCH * this.#valueSize);
      const next = Buffer.alloc(CURSOR_LENGTH);
      const attributes = batch(this.fd, {
        ...(cursor && { from: addressOf(cursor) }),
        ...{ next: addressOf(next), keys: addressOf(keys), values: addressOf(values), count: BATCH },
      });
      const isLast = this.#lookUp(attributes);
      const count = attributes.readUInt32LE(BATCH_COUNT);
      for (let n = 0; n < count; n++)
        found.push([pieceOf(keys, n, this.#keySize), pieceOf(values, n, this.#valueSize)]);
      if (isLast) return found;
      cursor = next;
    }
  }

  /** Gives the descriptor back. */
  close(): void {
    closeSync(this.fd);
  }

  /** @returns whether nothing comes behind these */
  #lookUp(attributes: Buffer): boolean {
    try {
      this.#call(COMMAND.mapLookupBatch, attributes);
      return false;
    } catch (error) {
      if (isErrno(error, "ENOENT")) return true;
      throw error;
    }
  }

  #checkKey(key: Buffer): void {
    if (key.length !== this.#keySize) throw new RangeError(`a key has ${this.#keySize} bytes`);
  }
}

function pieceOf(bytes: Buffer, n: number, size: number): Buffer {
  return bytes.subarray(n * size, (n + 1) * size);
}

function* parts<T>(list: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < list.length; at += BATCH) yield list.slice(at, at + BATCH);
}

/** Makes a map. @throws SysError EPERM without CAP_BPF in the initial user namespace */
export function createMap(call: BpfCall, spec: MapSpec): BpfMap {
  return new BpfMap(call, call(COMMAND.mapCreate, mapCreate(spec)), spec);
}

/** A map that is there, and what it is. @throws SysError ENOENT; EPERM without CAP_SYS_ADMIN */
export function openMap(call: BpfCall, id: number): { readonly map: BpfMap; readonly info: MapInfo } {
  const fd = call(COMMAND.mapById, byId(id));
  try {
    const bytes = Buffer.alloc(MAP_INFO_LENGTH);
    call(COMMAND.info, info(fd, addressOf(bytes), bytes.length));
    const read = readMapInfo(bytes);
    return { map: new BpfMap(call, fd, read), info: read };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
