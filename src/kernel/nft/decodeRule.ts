import { type Attributes, eachAttribute, parseAttributes } from "#kernel/netlink/index.ts";
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
} from "./constants.ts";
import { rejectMeaning } from "./encodeRule.ts";
import { ctField, fibType, metaField, numgen, payloadField } from "./fields.ts";
import {
  comparisons,
  type Expression,
  type Family,
  familyNumbers,
  type MetaOrCt,
  type NatTarget,
  type Statement,
  setOperations,
} from "./model.ts";
import { Registers, type SetShapes } from "./registers.ts";
import { bytesOf, hostNumber, numberOf, prefixMatch, readVerdict, register, textOf } from "./ruleValues.ts";

const BASES = ["link", "network", "transport"] as const;

/**
 * Reads a rule's expressions (the payload of NFTA_RULE_EXPRESSIONS) back into statements, by following what each
 * register holds.
 * @throws RangeError for expressions that the model lacks
 */
export function readStatements(expressions: Buffer, family: Family, sets: SetShapes): Statement[] {
  const reader = new RuleReader(family, sets);
  eachAttribute(expressions, (_, payload) => {
    const expression = parseAttributes(payload);
    reader.expression(textOf(expression, EXPR.NAME), parseAttributes(expression.get(EXPR.DATA) ?? Buffer.alloc(0)));
  });
  return reader.statements;
}

class RuleReader {
  readonly statements: Statement[] = [];
  readonly #registers: Registers;
  readonly #family: Family;

  constructor(family: Family, sets: SetShapes) {
    this.#family = family;
    this.#registers = new Registers(sets);
  }

  expression(name: string, a: Attributes): void {
    switch (name) {
      case "payload":
        return this.#payload(a);
      case "meta":
        return this.#metaOrCt(a, META, metaField);
      case "ct":
        return this.#metaOrCt(a, CT, ctField);
      case "fib":
        return this.#registers.load(
          register(a, FIB.DREG),
          fibType(numberOf(a, FIB.FLAGS) & FIB.F_DADDR ? "daddr" : "saddr"),
        );
      case "numgen":
        return this.#registers.load(
          register(a, NUMGEN.DREG),
          numgen(
            numberOf(a, NUMGEN.MODULUS),
            numberOf(a, NUMGEN.OFFSET),
            numberOf(a, NUMGEN.TYPE) === NUMGEN.RANDOM ? "random" : "inc",
          ),
        );
      case "bitwise":
        return this.#bitwise(a);
      case "cmp":
        return this.#cmp(a);
      case "lookup":
        return this.#lookup(a);
      case "immediate":
        return this.#immediate(a);
      default:
        this.statements.push(this.#action(name, a));
    }
  }

  #action(name: string, a: Attributes): Statement {
    switch (name) {
      case "nat":
        return this.#nat(a);
      case "masq":
        return numberOf(a, MASQ.FLAGS) & NAT_RANGE.RANDOM_FULLY
          ? { kind: "masquerade", fullyRandom: true }
          : { kind: "masquerade" };
      case "redir": {
        const port = this.#registers.constant(register(a, REDIR.PROTO_MIN));
        return {
          kind: "redirect",
          port: ((port[0] ?? 0) << 8) | (port[1] ?? 0),
        };
      }
      case "tproxy": {
        const port = this.#registers.constant(register(a, TPROXY.REG_PORT));
        return {
          kind: "tproxy",
          family: numberOf(a, TPROXY.FAMILY) === familyNumbers.ip ? "ip" : "ip6",
          port: ((port[0] ?? 0) << 8) | (port[1] ?? 0),
        };
      }
      case "reject":
        return this.#reject(a);
      case "counter":
        return {
          kind: "counter",
          packets: a.get(COUNTER.PACKETS)?.readBigUInt64BE() ?? 0n,
          bytes: a.get(COUNTER.BYTES)?.readBigUInt64BE() ?? 0n,
        };
      case "log": {
        const group = a.get(LOG.GROUP)?.readUInt16BE();
        const prefix = a.has(LOG.PREFIX) ? textOf(a, LOG.PREFIX) : undefined;
        return {
          kind: "log",
          ...(prefix !== undefined && { prefix }),
          ...(group !== undefined && { group }),
        };
      }
      case "dynset":
        return this.#dynset(a);
      default:
        throw new RangeError(`nftables expression ${name} is not in the model`);
    }
  }

  #payload(a: Attributes): void {
    const base = BASES[numberOf(a, PAYLOAD.BASE)];
    const target = register(a, PAYLOAD.DREG);
    if (!base || target === undefined) throw new RangeError("nftables payload statement is not in the model");
    const field = payloadField(this.#family, base, numberOf(a, PAYLOAD.OFFSET), numberOf(a, PAYLOAD.LEN));
    this.#registers.load(target, field);
  }

  #metaOrCt(a: Attributes, keys: typeof META | typeof CT, field: (key: number) => MetaOrCt): void {
    const source = register(a, keys.SREG);
    if (source === undefined) return this.#registers.load(register(a, keys.DREG), field(numberOf(a, keys.KEY)));
    if (keys === META && numberOf(a, META.KEY) === META.KEY_NFTRACE) {
      this.statements.push({ kind: "trace" });
      return;
    }
    const target = field(numberOf(a, keys.KEY));
    this.statements.push({
      kind: "assign",
      field: target,
      value: this.#assigned(source, target),
    });
  }

  #assigned(source: number, target: MetaOrCt): Expression {
    const held = this.#registers.held(source);
    if (held.kind === "constant") return { ...held, types: [target.type] };
    if (held.kind !== "masked") return held;
    if (held.field.kind !== "meta" && held.field.kind !== "ct") throw new RangeError("bits of a payload assigned");
    return {
      kind: "bits",
      field: held.field,
      mask: hostNumber(held.mask),
      flip: hostNumber(held.flip),
    };
  }

  #bitwise(a: Attributes): void {
    const held = this.#registers.held(register(a, BITWISE.SREG));
    if (held.kind === "map" || held.kind === "constant" || held.kind === "masked") {
      throw new RangeError("nftables bit operation on a computed value is not in the model");
    }
    this.#registers.load(register(a, BITWISE.DREG), {
      kind: "masked",
      field: held,
      mask: bytesOf(a, BITWISE.MASK),
      flip: bytesOf(a, BITWISE.XOR),
    });
  }

  #cmp(a: Attributes): void {
    const held = this.#registers.held(register(a, CMP.SREG));
    const operator = comparisons[numberOf(a, CMP.OP)] ?? "==";
    const value = bytesOf(a, CMP.DATA);
    if (held.kind === "map" || held.kind === "constant") throw new RangeError("comparison of a computed value");
    if (held.kind === "masked") {
      this.statements.push({
        kind: "match",
        field: held.field,
        operator,
        value,
        mask: held.mask,
      });
    } else this.statements.push(prefixMatch(this.#family, held, operator, value));
  }

  #lookup(a: Attributes): void {
    const name = textOf(a, LOOKUP.SET);
    const target = register(a, LOOKUP.DREG);
    const key = this.#registers.key(register(a, LOOKUP.SREG), name);
    if (target === REG.VERDICT) this.statements.push({ kind: "vmap", key, map: name });
    else if (target !== undefined)
      this.#registers.load(target, {
        kind: "map",
        key,
        map: name,
        types: this.#registers.shape(name).data,
      });
    else {
      const negate = (numberOf(a, LOOKUP.FLAGS) & LOOKUP.F_INV) !== 0;
      this.statements.push({
        kind: "lookup",
        key,
        set: name,
        ...(negate && { negate }),
      });
    }
  }

  #immediate(a: Attributes): void {
    const target = register(a, IMMEDIATE.DREG);
    const data = parseAttributes(a.get(IMMEDIATE.DATA) ?? Buffer.alloc(0));
    const verdict = data.get(DATA.VERDICT);
    if (target === REG.VERDICT && verdict) this.statements.push({ kind: "verdict", verdict: readVerdict(verdict) });
    else
      this.#registers.load(target, {
        kind: "constant",
        bytes: Uint8Array.from(data.get(DATA.VALUE) ?? []),
        types: [],
      });
  }

  #nat(a: Attributes): Statement {
    const type = numberOf(a, NAT.TYPE) === NAT.DNAT ? "dnat" : "snat";
    const family = numberOf(a, NAT.FAMILY) === familyNumbers.ip ? "ip" : "ip6";
    const port = register(a, NAT.PROTO_MIN);
    const held = this.#registers.held(register(a, NAT.ADDR_MIN));
    let to: NatTarget;
    if (held.kind === "map") to = held;
    else if (held.kind !== "constant") throw new RangeError("nat to a field is not in the model");
    else if (port === undefined) to = { kind: "address", address: held.bytes };
    else {
      const bytes = this.#registers.constant(port);
      to = {
        kind: "address",
        address: held.bytes,
        port: ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0),
      };
    }
    return { kind: "nat", type, family, to };
  }

  #reject(a: Attributes): Statement {
    if (numberOf(a, REJECT.TYPE) === REJECT.TCP_RST) return { kind: "reject", with: { kind: "tcp reset" } };
    const code = rejectMeaning(this.#family, a.get(REJECT.CODE)?.[0] ?? 0);
    return code === 1 ? { kind: "reject" } : { kind: "reject", with: { kind: "icmp", code } };
  }

  #dynset(a: Attributes): Statement {
    const set = textOf(a, DYNSET.NAME);
    const data = register(a, DYNSET.DATA);
    const held = data === undefined ? undefined : this.#registers.held(data);
    const timeout = a.get(DYNSET.TIMEOUT)?.readBigUInt64BE();
    if (held && (held.kind === "map" || held.kind === "constant" || held.kind === "masked")) {
      throw new RangeError("a computed value stored in a map is not in the model");
    }
    return {
      kind: "setOperation",
      operation: setOperations[numberOf(a, DYNSET.OP)] ?? "add",
      set,
      key: this.#registers.key(register(a, DYNSET.KEY), set),
      ...(held && { data: held }),
      ...(timeout && { timeoutMs: Number(timeout) }),
    };
  }
}
