import type { MessageWriter } from "#kernel/netlink/index.ts";
import { BITWISE, CT, DATA, EXPR, FIB, IMMEDIATE, LIST_ELEM, LOOKUP, META, NUMGEN, PAYLOAD, REG } from "./constants.ts";
import { hostU32, padded } from "./dataTypes.ts";
import type { Field } from "./fields.ts";
import type { Expression, MetaOrCt } from "./model.ts";

const BASES = { link: 0, network: 1, transport: 2 } as const;

/**
 * Writes expressions of the kernel, each with what it needs in registers: keys and values from the first one on, what is
 * made of them behind. A key fills one 4-byte register per four bytes.
 */
export class ExpressionWriter {
  readonly #w: MessageWriter;

  constructor(writer: MessageWriter) {
    this.#w = writer;
  }

  /** Computes a value into the first register. */
  value(value: Expression): void {
    switch (value.kind) {
      case "map":
        this.key(value.key);
        return this.lookup(value.map, REG.FIRST);
      case "constant":
        return this.immediate(REG.FIRST, value.bytes);
      case "bits":
        this.load(value.field, REG.FIRST);
        return this.bitwise(hostU32(value.mask), hostU32(value.flip));
      default:
        return this.load(value, REG.FIRST);
    }
  }

  /** Loads a concatenation from the first register on; returns the register after it. */
  key(key: readonly Field[]): number {
    let register: number = REG.FIRST;
    for (const field of key) {
      this.load(field, register);
      register += padded(field.type.length) / 4;
    }
    if (register > REG.FIRST + REG.COUNT) throw new RangeError("key does not fit into nftables' 64 bytes of registers");
    return register;
  }

  load(field: Field, register: number): void {
    switch (field.kind) {
      case "payload":
        return this.expr("payload", {
          [PAYLOAD.DREG]: register,
          [PAYLOAD.BASE]: BASES[field.base],
          [PAYLOAD.OFFSET]: field.offset,
          [PAYLOAD.LEN]: field.length,
        });
      case "meta":
        return this.expr("meta", {
          [META.DREG]: register,
          [META.KEY]: field.key,
        });
      case "ct":
        return this.expr("ct", { [CT.DREG]: register, [CT.KEY]: field.key });
      case "fib":
        return this.expr("fib", {
          [FIB.DREG]: register,
          [FIB.RESULT]: FIB.RESULT_ADDRTYPE,
          [FIB.FLAGS]: field.address === "daddr" ? FIB.F_DADDR : FIB.F_SADDR,
        });
      case "numgen":
        return this.expr("numgen", {
          [NUMGEN.DREG]: register,
          [NUMGEN.MODULUS]: field.modulus,
          [NUMGEN.TYPE]: field.mode === "random" ? NUMGEN.RANDOM : NUMGEN.INC,
          [NUMGEN.OFFSET]: field.offset,
        });
    }
  }

  store(field: MetaOrCt): void {
    const attributes = field.kind === "meta" ? META : CT;
    this.expr(field.kind, {
      [attributes.KEY]: field.key,
      [attributes.SREG]: REG.FIRST,
    });
  }

  bitwise(mask: Uint8Array, flip: Uint8Array): void {
    const w = this.#w;
    this.expr(
      "bitwise",
      {
        [BITWISE.SREG]: REG.FIRST,
        [BITWISE.DREG]: REG.FIRST,
        [BITWISE.LEN]: mask.length,
      },
      () => {
        w.nest(BITWISE.MASK, () => w.attribute(DATA.VALUE, mask));
        w.nest(BITWISE.XOR, () => w.attribute(DATA.VALUE, flip));
      },
    );
  }

  lookup(set: string, destination: number | undefined, negate?: boolean): void {
    const numbers = {
      [LOOKUP.SREG]: REG.FIRST,
      [LOOKUP.DREG]: destination,
      [LOOKUP.FLAGS]: negate ? LOOKUP.F_INV : undefined,
    };
    this.expr("lookup", numbers, () => this.#w.attributeText(LOOKUP.SET, set));
  }

  immediate(register: number, bytes: Uint8Array): void {
    this.expr("immediate", { [IMMEDIATE.DREG]: register }, () =>
      this.#w.nest(IMMEDIATE.DATA, () => this.#w.attribute(DATA.VALUE, bytes)),
    );
  }

  /** One expression: its name and its attributes, numbers (u32, network order) first. */
  expr(name: string, numbers: Readonly<Record<number, number | undefined>>, rest?: () => void): void {
    const w = this.#w;
    w.nest(LIST_ELEM, () => {
      w.attributeText(EXPR.NAME, name);
      w.nest(EXPR.DATA, () => {
        for (const [type, value] of Object.entries(numbers)) {
          if (value !== undefined) w.attributeU32be(Number(type), value);
        }
        rest?.();
      });
    });
  }
}
