import type { MessageWriter } from "#kernel/netlink/index.ts";
import {
  BITWISE,
  CMP,
  COUNTER,
  CT,
  DATA,
  DYNSET,
  EXPR,
  FIB,
  IMMEDIATE,
  LIST_ELEM,
  LOG,
  LOOKUP,
  MASQ,
  META,
  NAT,
  NAT_RANGE,
  NUMGEN,
  PAYLOAD,
  REDIR,
  REG,
  REJECT,
  TPROXY,
  VERDICT,
  VERDICT_CODES,
} from "./constants.ts";
import { hostU32, networkU16, padded } from "./dataTypes.ts";
import type { Field } from "./fields.ts";
import {
  comparisons,
  type Expression,
  type Family,
  familyNumbers,
  type MetaOrCt,
  type NatTarget,
  type RejectWith,
  type Statement,
  setOperations,
  type Verdict,
} from "./model.ts";

const BASES = { link: 0, network: 1, transport: 2 } as const;

/**
 * Writes a rule's statements as the kernel's expressions. Every statement computes in registers from the first one
 * on: keys and values first, what is made of them behind. A key fills one 4-byte register per four bytes.
 */
export function writeStatements(writer: MessageWriter, family: Family, statements: readonly Statement[]): void {
  const encoder = new RuleEncoder(writer, family);
  for (const statement of statements) encoder.statement(statement);
}

/** The attributes of a verdict (NFTA_VERDICT_*). */
export function writeVerdict(writer: MessageWriter, verdict: Verdict): void {
  writer.nest(DATA.VERDICT, () => {
    writer.attributeU32be(VERDICT.CODE, VERDICT_CODES[verdict.kind]);
    if ("chain" in verdict) writer.attributeText(VERDICT.CHAIN, verdict.chain);
  });
}

class RuleEncoder {
  readonly #w: MessageWriter;
  readonly #family: Family;

  constructor(writer: MessageWriter, family: Family) {
    this.#w = writer;
    this.#family = family;
  }

  statement(s: Statement): void {
    switch (s.kind) {
      case "match":
        return this.#match(s);
      case "lookup":
        this.#key(s.key);
        return this.#lookup(s.set, undefined, s.negate);
      case "vmap":
        this.#key(s.key);
        return this.#lookup(s.map, REG.VERDICT);
      case "assign":
        this.#value(s.value);
        return this.#store(s.field);
      case "setOperation":
        return this.#setOperation(s);
      case "nat":
        return this.#nat(s.type, s.family, s.to);
      case "masquerade":
        return this.#expr("masq", {
          [MASQ.FLAGS]: s.fullyRandom ? NAT_RANGE.RANDOM_FULLY : undefined,
        });
      case "redirect":
        this.#immediate(REG.FIRST, networkU16(s.port));
        return this.#expr("redir", {
          [REDIR.PROTO_MIN]: REG.FIRST,
          [REDIR.FLAGS]: NAT_RANGE.PROTO_SPECIFIED,
        });
      case "tproxy":
        this.#immediate(REG.FIRST, networkU16(s.port));
        return this.#expr("tproxy", {
          [TPROXY.FAMILY]: familyNumbers[s.family],
          [TPROXY.REG_PORT]: REG.FIRST,
        });
      case "reject":
        return this.#reject(s.with);
      case "verdict":
        return this.#expr("immediate", { [IMMEDIATE.DREG]: REG.VERDICT }, () =>
          this.#w.nest(IMMEDIATE.DATA, () => writeVerdict(this.#w, s.verdict)),
        );
      case "counter":
        return this.#expr("counter", {}, () => {
          this.#w.attributeU64be(COUNTER.BYTES, s.bytes ?? 0n).attributeU64be(COUNTER.PACKETS, s.packets ?? 0n);
        });
      case "log":
        return this.#expr("log", {}, () => {
          if (s.group !== undefined) this.#w.attributeU16be(LOG.GROUP, s.group);
          if (s.prefix !== undefined) this.#w.attributeText(LOG.PREFIX, s.prefix);
        });
      case "trace":
        this.#immediate(REG.FIRST, Uint8Array.of(1));
        return this.#expr("meta", {
          [META.KEY]: META.KEY_NFTRACE,
          [META.SREG]: REG.FIRST,
        });
    }
  }

  #match({ field, operator, value, mask }: Extract<Statement, { kind: "match" }>): void {
    this.#load(field, REG.FIRST);
    if (mask) this.#bitwise(mask, new Uint8Array(mask.length));
    this.#expr("cmp", { [CMP.SREG]: REG.FIRST, [CMP.OP]: comparisons.indexOf(operator) }, () =>
      this.#w.nest(CMP.DATA, () => this.#w.attribute(DATA.VALUE, value)),
    );
  }

  #setOperation(s: Extract<Statement, { kind: "setOperation" }>): void {
    const next = this.#key(s.key);
    if (s.data) this.#load(s.data, next);
    this.#expr(
      "dynset",
      {
        [DYNSET.OP]: setOperations.indexOf(s.operation),
        [DYNSET.KEY]: REG.FIRST,
        [DYNSET.DATA]: s.data && next,
      },
      () => {
        this.#w.attributeText(DYNSET.NAME, s.set);
        if (s.timeoutMs !== undefined) this.#w.attributeU64be(DYNSET.TIMEOUT, BigInt(s.timeoutMs));
      },
    );
  }

  #nat(type: "dnat" | "snat", family: "ip" | "ip6", to: NatTarget): void {
    const port = REG.FIRST + (family === "ip" ? 1 : 4);
    let hasPort: boolean;
    if (to.kind === "map") {
      this.#value(to);
      hasPort = to.types.length > 1;
    } else {
      this.#immediate(REG.FIRST, to.address);
      hasPort = to.port !== undefined;
      if (to.port !== undefined) this.#immediate(port, networkU16(to.port));
    }
    this.#expr("nat", {
      [NAT.TYPE]: NAT[type === "dnat" ? "DNAT" : "SNAT"],
      [NAT.FAMILY]: familyNumbers[family],
      [NAT.ADDR_MIN]: REG.FIRST,
      [NAT.PROTO_MIN]: hasPort ? port : undefined,
      [NAT.FLAGS]: NAT_RANGE.MAP_IPS | (hasPort ? NAT_RANGE.PROTO_SPECIFIED : 0),
    });
  }

  #reject(reject: RejectWith | undefined): void {
    if (reject?.kind === "tcp reset") return this.#expr("reject", { [REJECT.TYPE]: REJECT.TCP_RST });
    const type = this.#family === "ip" || this.#family === "ip6" ? REJECT.ICMP : REJECT.ICMPX;
    const code = rejectCode(this.#family, reject?.code ?? 1);
    this.#expr("reject", { [REJECT.TYPE]: type }, () => this.#w.attributeU8(REJECT.CODE, code));
  }

  /** Computes a value into the first register. */
  #value(value: Expression): void {
    switch (value.kind) {
      case "map":
        this.#key(value.key);
        return this.#lookup(value.map, REG.FIRST);
      case "constant":
        return this.#immediate(REG.FIRST, value.bytes);
      case "bits":
        this.#load(value.field, REG.FIRST);
        return this.#bitwise(hostU32(value.mask), hostU32(value.flip));
      default:
        return this.#load(value, REG.FIRST);
    }
  }

  /** Loads a concatenation from the first register on; returns the register after it. */
  #key(key: readonly Field[]): number {
    let register: number = REG.FIRST;
    for (const field of key) {
      this.#load(field, register);
      register += padded(field.type.length) / 4;
    }
    if (register > REG.FIRST + REG.COUNT) throw new RangeError("key does not fit into nftables' 64 bytes of registers");
    return register;
  }

  #load(field: Field, register: number): void {
    switch (field.kind) {
      case "payload":
        return this.#expr("payload", {
          [PAYLOAD.DREG]: register,
          [PAYLOAD.BASE]: BASES[field.base],
          [PAYLOAD.OFFSET]: field.offset,
          [PAYLOAD.LEN]: field.length,
        });
      case "meta":
        return this.#expr("meta", {
          [META.DREG]: register,
          [META.KEY]: field.key,
        });
      case "ct":
        return this.#expr("ct", { [CT.DREG]: register, [CT.KEY]: field.key });
      case "fib":
        return this.#expr("fib", {
          [FIB.DREG]: register,
          [FIB.RESULT]: FIB.RESULT_ADDRTYPE,
          [FIB.FLAGS]: field.address === "daddr" ? FIB.F_DADDR : FIB.F_SADDR,
        });
      case "numgen":
        return this.#expr("numgen", {
          [NUMGEN.DREG]: register,
          [NUMGEN.MODULUS]: field.modulus,
          [NUMGEN.TYPE]: field.mode === "random" ? NUMGEN.RANDOM : NUMGEN.INC,
          [NUMGEN.OFFSET]: field.offset,
        });
    }
  }

  #store(field: MetaOrCt): void {
    const attributes = field.kind === "meta" ? META : CT;
    this.#expr(field.kind, {
      [attributes.KEY]: field.key,
      [attributes.SREG]: REG.FIRST,
    });
  }

  #bitwise(mask: Uint8Array, flip: Uint8Array): void {
    const w = this.#w;
    this.#expr(
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

  #lookup(set: string, destination: number | undefined, negate?: boolean): void {
    const numbers = {
      [LOOKUP.SREG]: REG.FIRST,
      [LOOKUP.DREG]: destination,
      [LOOKUP.FLAGS]: negate ? LOOKUP.F_INV : undefined,
    };
    this.#expr("lookup", numbers, () => this.#w.attributeText(LOOKUP.SET, set));
  }

  #immediate(register: number, bytes: Uint8Array): void {
    this.#expr("immediate", { [IMMEDIATE.DREG]: register }, () =>
      this.#w.nest(IMMEDIATE.DATA, () => this.#w.attribute(DATA.VALUE, bytes)),
    );
  }

  /** One expression: its name and its attributes, numbers (u32, network order) first. */
  #expr(name: string, numbers: Readonly<Record<number, number | undefined>>, rest?: () => void): void {
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

/** ICMP codes of "no-route", "port", "host", "admin" unreachable: RFC 792/1812 and RFC 4443. */
const REJECT_CODES = { ip: [0, 3, 1, 13], ip6: [0, 4, 3, 1] } as const;

/** The family's own code for NFT_REJECT_ICMPX's one; inet and bridge use the latter itself. */
function rejectCode(family: Family, code: number): number {
  return family === "ip" || family === "ip6" ? (REJECT_CODES[family][code] ?? code) : code;
}

/** The inverse of what {@link writeStatements} does with reject codes. */
export function rejectMeaning(family: Family, code: number): number {
  if (family !== "ip" && family !== "ip6") return code;
  const index = (REJECT_CODES[family] as readonly number[]).indexOf(code);
  return index < 0 ? code : index;
}
