import type { MessageWriter } from "#kernel/netlink/index.ts";
import {
  CMP,
  COUNTER,
  DATA,
  DYNSET,
  IMMEDIATE,
  LOG,
  MASQ,
  META,
  NAT,
  NAT_RANGE,
  REDIR,
  REG,
  REJECT,
  TPROXY,
  VERDICT,
  VERDICT_CODES,
} from "./constants.ts";
import { networkU16 } from "./dataTypes.ts";
import { ExpressionWriter } from "./encodeExpression.ts";
import {
  comparisons,
  type Family,
  familyNumbers,
  type NatTarget,
  type RejectWith,
  type Statement,
  setOperations,
  type Verdict,
} from "./model.ts";

/** Writes a rule's statements as the kernel's expressions ({@link ExpressionWriter}). */
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
  readonly #e: ExpressionWriter;
  readonly #family: Family;

  constructor(writer: MessageWriter, family: Family) {
    this.#w = writer;
    this.#e = new ExpressionWriter(writer);
    this.#family = family;
  }

  statement(s: Statement): void {
    switch (s.kind) {
      case "match":
        return this.#match(s);
      case "lookup":
        this.#e.key(s.key);
        return this.#e.lookup(s.set, undefined, s.negate);
      case "vmap":
        this.#e.key(s.key);
        return this.#e.lookup(s.map, REG.VERDICT);
      case "assign":
        this.#e.value(s.value);
        return this.#e.store(s.field);
      case "setOperation":
        return this.#setOperation(s);
      case "nat":
        return this.#nat(s.type, s.family, s.to);
      case "masquerade":
        return this.#e.expr("masq", {
          [MASQ.FLAGS]: s.fullyRandom ? NAT_RANGE.RANDOM_FULLY : undefined,
        });
      case "redirect":
        this.#e.immediate(REG.FIRST, networkU16(s.port));
        return this.#e.expr("redir", {
          [REDIR.PROTO_MIN]: REG.FIRST,
          [REDIR.FLAGS]: NAT_RANGE.PROTO_SPECIFIED,
        });
      case "tproxy":
        this.#e.immediate(REG.FIRST, networkU16(s.port));
        return this.#e.expr("tproxy", {
          [TPROXY.FAMILY]: familyNumbers[s.family],
          [TPROXY.REG_PORT]: REG.FIRST,
        });
      case "reject":
        return this.#reject(s.with);
      case "verdict":
        return this.#e.expr("immediate", { [IMMEDIATE.DREG]: REG.VERDICT }, () =>
          this.#w.nest(IMMEDIATE.DATA, () => writeVerdict(this.#w, s.verdict)),
        );
      case "counter":
        return this.#e.expr("counter", {}, () => {
          this.#w.attributeU64be(COUNTER.BYTES, s.bytes ?? 0n).attributeU64be(COUNTER.PACKETS, s.packets ?? 0n);
        });
      case "log":
        return this.#e.expr("log", {}, () => {
          if (s.group !== undefined) this.#w.attributeU16be(LOG.GROUP, s.group);
          if (s.prefix !== undefined) this.#w.attributeText(LOG.PREFIX, s.prefix);
        });
      case "trace":
        this.#e.immediate(REG.FIRST, Uint8Array.of(1));
        return this.#e.expr("meta", {
          [META.KEY]: META.KEY_NFTRACE,
          [META.SREG]: REG.FIRST,
        });
    }
  }

  #match({ field, operator, value, mask }: Extract<Statement, { kind: "match" }>): void {
    this.#e.load(field, REG.FIRST);
    if (mask) this.#e.bitwise(mask, new Uint8Array(mask.length));
    this.#e.expr("cmp", { [CMP.SREG]: REG.FIRST, [CMP.OP]: comparisons.indexOf(operator) }, () =>
      this.#w.nest(CMP.DATA, () => this.#w.attribute(DATA.VALUE, value)),
    );
  }

  #setOperation(s: Extract<Statement, { kind: "setOperation" }>): void {
    const next = this.#e.key(s.key);
    if (s.data) this.#e.load(s.data, next);
    this.#e.expr(
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
      this.#e.value(to);
      hasPort = to.types.length > 1;
    } else {
      this.#e.immediate(REG.FIRST, to.address);
      hasPort = to.port !== undefined;
      if (to.port !== undefined) this.#e.immediate(port, networkU16(to.port));
    }
    this.#e.expr("nat", {
      [NAT.TYPE]: NAT[type === "dnat" ? "DNAT" : "SNAT"],
      [NAT.FAMILY]: familyNumbers[family],
      [NAT.ADDR_MIN]: REG.FIRST,
      [NAT.PROTO_MIN]: hasPort ? port : undefined,
      [NAT.FLAGS]: NAT_RANGE.MAP_IPS | (hasPort ? NAT_RANGE.PROTO_SPECIFIED : 0),
    });
  }

  #reject(reject: RejectWith | undefined): void {
    if (reject?.kind === "tcp reset") return this.#e.expr("reject", { [REJECT.TYPE]: REJECT.TCP_RST });
    const type = this.#family === "ip" || this.#family === "ip6" ? REJECT.ICMP : REJECT.ICMPX;
    const code = rejectCode(this.#family, reject?.code ?? 1);
    this.#e.expr("reject", { [REJECT.TYPE]: type }, () => this.#w.attributeU8(REJECT.CODE, code));
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
