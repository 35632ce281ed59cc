import { MessageWriter, NLM_F } from "#kernel/netlink/index.ts";
import {
  CHAIN,
  DATA,
  DATA_TYPE_VERDICT,
  ELEMENT,
  ELEMENTS,
  HOOK,
  HOOKS,
  LIST_ELEM,
  NFT_MSG,
  NLM_F_ECHO,
  NLM_F_NONREC,
  RULE,
  SET,
  SET_FLAG,
  TABLE,
} from "./constants.ts";
import { type DataType, padded } from "./dataTypes.ts";
import { packedSize, writePacked } from "./encodePacked.ts";
import { writeStatements, writeVerdict } from "./encodeRule.ts";
import {
  type Chain,
  type Element,
  familyNumbers,
  type KeyPart,
  type NftSet,
  partTypes,
  type Rule,
  type Table,
} from "./model.ts";
import { type ElementList, PackedElements } from "./packed.ts";
import type { Operation, Transaction } from "./transaction.ts";
import { commentUserdata, setUserdata } from "./userdata.ts";

/** Bytes of elements in one message. A nested attribute holds at most 65,535. */
const ELEMENTS_PER_MESSAGE = 60_000;

/** One netlink message of an encoded transaction. */
export interface EncodedMessage {
  /** First byte in the writer. */
  readonly start: number;
  readonly end: number;
  /** Number of the operation that it belongs to. */
  readonly operation: number;
  /** For messages with elements: which of the operation's elements are in it. */
  readonly elements?: readonly [from: number, to: number];
  /** Whether everything before it may already have been committed on its own. */
  readonly mayCut: boolean;
}

/** A transaction as netlink messages. Message i has sequence number i + 1. */
export interface EncodedTransaction {
  readonly writer: MessageWriter;
  readonly messages: readonly EncodedMessage[];
}

/** Encodes all operations, without the brackets of batches. */
export function encodeTransaction(transaction: Transaction): EncodedTransaction {
  const encoder = new Encoder();
  const { operations, groups } = transaction;
  operations.forEach((operation, index) => {
    const isFirst = groups[index] !== groups[index - 1];
    encoder.operation(operation, index, isFirst, isFirst && groups[index] !== groups[index + 1]);
  });
  return encoder;
}

/** Starts a message: nlmsghdr and nfgenmsg (family, version 0, res_id 0). */
export function beginMessage(writer: MessageWriter, type: number, flags: number, family: number): MessageWriter {
  return writer.begin(type, flags).u8(family).u8(0).u16be(0);
}

class Encoder implements EncodedTransaction {
  readonly writer = new MessageWriter();
  readonly messages: EncodedMessage[] = [];
  #index = 0;
  #mayCut = true;
  #isAlone = true;
  #setId = 0;

  /** @param isAlone the operation may be cut between elements */
  operation(operation: Operation, index: number, mayCut: boolean, isAlone: boolean): void {
    this.#index = index;
    this.#isAlone = isAlone;
    this.#mayCut = mayCut;
    switch (operation.kind) {
      case "add table":
        return this.#table(NFT_MSG.NEWTABLE, NLM_F.CREATE, operation.table);
      case "delete table":
        return this.#table(NFT_MSG.DELTABLE, 0, operation.table);
      case "add chain":
        return this.#chain(operation.chain);
      case "flush chain":
        return this.#rule(NFT_MSG.DELRULE, 0, operation.chain, () => {});
      case "delete chain":
        return this.#message(NFT_MSG.DELCHAIN, NLM_F_NONREC, operation.chain.table, () => {
          this.writer
            .attributeText(CHAIN.TABLE, operation.chain.table.name)
            .attributeText(CHAIN.NAME, operation.chain.name);
        });
      case "add rule":
        return this.#newRule(NLM_F.CREATE | NLM_F.APPEND | NLM_F_ECHO, operation.rule);
      case "insert rule":
        return this.#newRule(NLM_F.CREATE | NLM_F_ECHO, operation.rule);
      case "replace rule":
        return this.#newRule(NLM_F.REPLACE | NLM_F_ECHO, operation.rule);
      case "delete rule":
        return this.#rule(NFT_MSG.DELRULE, 0, operation.rule.chain, () => {
          this.writer.attributeU64be(RULE.HANDLE, operation.rule.handle);
        });
      case "add set":
        return this.#set(operation.set);
      case "flush set":
        return this.#message(NFT_MSG.DELSETELEM, 0, operation.set.table, () => {
          this.writer
            .attributeText(ELEMENTS.TABLE, operation.set.table.name)
            .attributeText(ELEMENTS.SET, operation.set.name);
        });
      case "delete set":
        return this.#message(NFT_MSG.DELSET, 0, operation.set.table, () => {
          this.writer.attributeText(SET.TABLE, operation.set.table.name).attributeText(SET.NAME, operation.set.name);
        });
      case "add elements":
      case "delete elements":
      case "replace elements":
        return this.#elements(operation.kind, operation.set, operation.elements);
    }
  }

  #message(type: number, flags: number, table: Table, write: () => void, elements?: readonly [number, number]): void {
    const start = this.writer.length;
    beginMessage(this.writer, type, flags, familyNumbers[table.family]);
    write();
    this.writer.end();
    const place = {
      start,
      end: this.writer.length,
      operation: this.#index,
      mayCut: this.#mayCut,
    };
    this.messages.push(elements ? { ...place, elements } : place);
    this.#mayCut = false;
  }

  #table(type: number, flags: number, table: Table): void {
    this.#message(type, flags, table, () => {
      this.writer.attributeText(TABLE.NAME, table.name);
      if (type === NFT_MSG.NEWTABLE && table.comment) {
        this.writer.attribute(TABLE.USERDATA, commentUserdata(table.comment));
      }
    });
  }

  #chain(chain: Chain): void {
    const w = this.writer;
    this.#message(NFT_MSG.NEWCHAIN, NLM_F.CREATE, chain.table, () => {
      w.attributeText(CHAIN.TABLE, chain.table.name).attributeText(CHAIN.NAME, chain.name);
      const { hook } = chain;
      if (hook) {
        w.nest(CHAIN.HOOK, () => {
          w.attributeU32be(HOOK.NUMBER, HOOKS.indexOf(hook.hook)).attributeU32be(HOOK.PRIORITY, hook.priority);
        });
        w.attributeU32be(CHAIN.POLICY, hook.policy === "drop" ? 0 : 1).attributeText(CHAIN.TYPE, hook.type);
      }
      if (chain.comment) w.attribute(CHAIN.USERDATA, commentUserdata(chain.comment));
    });
  }

  #rule(type: number, flags: number, chain: Chain, write: () => void): void {
    this.#message(type, flags, chain.table, () => {
      this.writer.attributeText(RULE.TABLE, chain.table.name).attributeText(RULE.CHAIN, chain.name);
      write();
    });
  }

  #newRule(flags: number, rule: Rule): void {
    const w = this.writer;
    this.#rule(NFT_MSG.NEWRULE, flags, rule.chain, () => {
      if (flags & NLM_F.REPLACE && rule.handle !== undefined) w.attributeU64be(RULE.HANDLE, rule.handle);
      w.nest(RULE.EXPRESSIONS, () => writeStatements(w, rule.chain.table.family, rule.statements));
      if (rule.comment) w.attribute(RULE.USERDATA, commentUserdata(rule.comment));
    });
  }

  #set(set: NftSet): void {
    const w = this.writer;
    this.#message(NFT_MSG.NEWSET, NLM_F.CREATE, set.table, () => {
      w.attributeText(SET.TABLE, set.table.name).attributeText(SET.NAME, set.name);
      w.attributeU32be(SET.FLAGS, setFlags(set));
      w.attributeU32be(SET.KEY_TYPE, typeNumber(partTypes(set.key))).attributeU32be(SET.KEY_LEN, partsLength(set.key));
      if (set.data === "verdict") {
        w.attributeU32be(SET.DATA_TYPE, DATA_TYPE_VERDICT).attributeU32be(SET.DATA_LEN, 0);
      } else if (set.data) {
        w.attributeU32be(SET.DATA_TYPE, typeNumber(partTypes(set.data)));
        w.attributeU32be(SET.DATA_LEN, partsLength(set.data));
      }
      if (set.size !== undefined) w.nest(SET.DESC, () => w.attributeU32be(SET.DESC_SIZE, set.size ?? 0));
      w.attributeU32be(SET.ID, ++this.#setId);
      if (set.timeoutMs !== undefined) w.attributeU64be(SET.TIMEOUT, BigInt(set.timeoutMs));
      const userdata = setUserdata(set);
      if (userdata) w.attribute(SET.USERDATA, userdata);
    });
  }

  #elements(kind: "add elements" | "delete elements" | "replace elements", set: NftSet, elements: ElementList): void {
    for (let from = 0; from < elements.length; ) {
      const to = sliceEnd(elements, from);
      const range = [from, to] as const;
      if (kind !== "add elements") this.#elementMessage(NFT_MSG.DELSETELEM, 0, set, elements, range);
      if (kind !== "delete elements") this.#elementMessage(NFT_MSG.NEWSETELEM, NLM_F.CREATE, set, elements, range);
      from = to;
      this.#mayCut = this.#isAlone;
    }
  }

  #elementMessage(
    type: number,
    flags: number,
    set: NftSet,
    elements: ElementList,
    range: readonly [number, number],
  ): void {
    const w = this.writer;
    const isNew = type === NFT_MSG.NEWSETELEM;
    this.#message(
      type,
      flags,
      set.table,
      () => {
        w.attributeText(ELEMENTS.TABLE, set.table.name).attributeText(ELEMENTS.SET, set.name);
        w.nest(ELEMENTS.LIST, () => {
          if (elements instanceof PackedElements) return writePacked(w, elements, range, isNew);
          for (let i = range[0]; i < range[1]; i++) this.#element(elements[i] as Element, isNew);
        });
      },
      range,
    );
  }

  #element(element: Element, whole: boolean): void {
    const w = this.writer;
    const { data } = element;
    const entry = w.open(LIST_ELEM);
    const key = w.open(ELEMENT.KEY);
    w.attribute(DATA.VALUE, element.key).close(key);
    if (whole) {
      if (data) {
        const value = w.open(ELEMENT.DATA);
        if (data instanceof Uint8Array) w.attribute(DATA.VALUE, data);
        else writeVerdict(w, data);
        w.close(value);
      }
      if (element.timeoutMs !== undefined) w.attributeU64be(ELEMENT.TIMEOUT, BigInt(element.timeoutMs));
      if (element.comment) w.attribute(ELEMENT.USERDATA, commentUserdata(element.comment));
    }
    w.close(entry);
  }
}

/** Where the message that begins with element `from` has to end. */
function sliceEnd(elements: ElementList, from: number): number {
  if (elements instanceof PackedElements) {
    return Math.min(elements.length, from + Math.floor(ELEMENTS_PER_MESSAGE / packedSize(elements, true)));
  }
  let bytes = 0;
  let to = from;
  for (; to < elements.length; to++) {
    const { key, data, comment } = elements[to] as Element;
    const dataBytes = data instanceof Uint8Array ? data.length : data ? 64 : 0;
    bytes +=
      40 + padded(key.length) + padded(dataBytes) + (comment ? 8 + padded(Math.min(comment.length * 3, 130)) : 0);
    if (bytes > ELEMENTS_PER_MESSAGE && to > from) break;
  }
  return to;
}

function setFlags(set: NftSet): number {
  return (
    (set.data ? SET_FLAG.MAP : 0) |
    (set.timeout || set.timeoutMs !== undefined ? SET_FLAG.TIMEOUT : 0) |
    (set.dynamic ? SET_FLAG.EVAL : 0)
  );
}

/** nft's number of a type; of a concatenation six bits for each part. */
function typeNumber(types: readonly DataType[]): number {
  return types.reduce((number, type) => number * 64 + type.id, 0);
}

function partsLength(parts: readonly KeyPart[]): number {
  const types = partTypes(parts);
  // A single value is not padded.
  if (types.length === 1) return types[0]?.length ?? 0;
  return types.reduce((length, type) => length + padded(type.length), 0);
}
