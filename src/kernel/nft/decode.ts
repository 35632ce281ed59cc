import { attributeText, eachAttribute, type NetlinkMessage, parseAttributes } from "#kernel/netlink/index.ts";
import {
  CHAIN,
  DATA,
  DATA_TYPE_VERDICT,
  ELEMENT,
  ELEMENTS,
  HOOK,
  HOOKS,
  RULE,
  SET,
  SET_FLAG,
  TABLE,
  UDATA,
} from "./constants.ts";
import { type DataType, dataTypeById, dataTypes } from "./dataTypes.ts";
import { readStatements } from "./decodeRule.ts";
import {
  type Chain,
  type Element,
  type Family,
  familyNumbers,
  type Hook,
  type NftSet,
  type Rule,
  type Table,
} from "./model.ts";
import type { SetShapes } from "./registers.ts";
import { readVerdict } from "./ruleValues.ts";
import { userdataComment } from "./userdata.ts";

/** nfgenmsg before the attributes: family u8, version u8, res_id u16. */
const HEADER_BYTES = 4;

/** The family of a message, undefined for families that the model lacks (arp, netdev). */
export function messageFamily(message: NetlinkMessage): Family | undefined {
  const number = message.payload[0];
  return (Object.keys(familyNumbers) as Family[]).find((family) => familyNumbers[family] === number);
}

function attributesOf(message: NetlinkMessage) {
  return parseAttributes(message.payload.subarray(HEADER_BYTES));
}

function text(payload: Buffer | undefined): string {
  return payload ? attributeText(payload) : "";
}

/** A table from NFT_MSG_NEWTABLE. */
export function readTable(message: NetlinkMessage): Table | undefined {
  const family = messageFamily(message);
  if (!family) return undefined;
  const attributes = attributesOf(message);
  const comment = userdataComment(attributes.get(TABLE.USERDATA));
  return {
    family,
    name: text(attributes.get(TABLE.NAME)),
    ...(comment !== undefined && { comment }),
  };
}

/** A chain from NFT_MSG_NEWCHAIN; undefined when it is another table's. */
export function readChain(message: NetlinkMessage, table: Table): Chain | undefined {
  const attributes = attributesOf(message);
  if (messageFamily(message) !== table.family || text(attributes.get(CHAIN.TABLE)) !== table.name) return undefined;
  const comment = userdataComment(attributes.get(CHAIN.USERDATA));
  const hook = attributes.get(CHAIN.HOOK);
  return {
    table,
    name: text(attributes.get(CHAIN.NAME)),
    ...(hook && {
      hook: readHook(hook, text(attributes.get(CHAIN.TYPE)), attributes.get(CHAIN.POLICY)),
    }),
    ...(comment !== undefined && { comment }),
  };
}

function readHook(payload: Buffer, type: string, policy: Buffer | undefined): Hook {
  const attributes = parseAttributes(payload);
  return {
    type: type as Hook["type"],
    hook: HOOKS[attributes.get(HOOK.NUMBER)?.readUInt32BE() ?? 0] ?? "prerouting",
    priority: attributes.get(HOOK.PRIORITY)?.readInt32BE() ?? 0,
    policy: policy?.readUInt32BE() === 0 ? "drop" : "accept",
  };
}

/** A set from NFT_MSG_NEWSET. Its key parts are plain types: how they are made is only nft's to know. */
export function readSet(message: NetlinkMessage, table: Table): NftSet | undefined {
  const attributes = attributesOf(message);
  if (messageFamily(message) !== table.family || text(attributes.get(SET.TABLE)) !== table.name) return undefined;
  const number = (type: number) => attributes.get(type)?.readUInt32BE();
  const flags = number(SET.FLAGS) ?? 0;
  const size = parseAttributes(attributes.get(SET.DESC) ?? Buffer.alloc(0))
    .get(SET.DESC_SIZE)
    ?.readUInt32BE();
  const timeoutMs = attributes.get(SET.TIMEOUT)?.readBigUInt64BE();
  const comment = userdataComment(attributes.get(SET.USERDATA), UDATA.SET_COMMENT);
  const dataType = number(SET.DATA_TYPE);
  return {
    table,
    name: text(attributes.get(SET.NAME)),
    key: readTypes(number(SET.KEY_TYPE) ?? 0, number(SET.KEY_LEN) ?? 0),
    ...(flags & SET_FLAG.MAP &&
      dataType !== undefined && {
        data: dataType === DATA_TYPE_VERDICT ? ("verdict" as const) : readTypes(dataType, number(SET.DATA_LEN) ?? 0),
      }),
    ...(flags & SET_FLAG.EVAL && { dynamic: true }),
    ...(flags & SET_FLAG.TIMEOUT && { timeout: true }),
    ...(timeoutMs && { timeoutMs: Number(timeoutMs) }),
    ...(size !== undefined && { size }),
    ...(comment !== undefined && { comment }),
  };
}

/** Six bits a type; 0 (set by a program that gave none) stands for plain bytes. */
function readTypes(number: number, length: number): DataType[] {
  const types: DataType[] = [];
  for (let rest = number; rest > 0; rest = Math.floor(rest / 64)) {
    types.unshift(dataTypeById(rest % 64) ?? { ...dataTypes.integer, id: rest % 64 });
  }
  return types.length ? types : [{ ...dataTypes.integer, id: 0, length }];
}

/** Key and data types of sets, for reading rules. */
export function shapesOf(sets: readonly NftSet[]): SetShapes {
  const types = (parts: NftSet["data"]) => (Array.isArray(parts) ? (parts as readonly DataType[]) : []);
  return new Map(sets.map((set) => [set.name, { key: types(set.key), data: types(set.data) }]));
}

/** A rule from NFT_MSG_NEWRULE, with its handle. */
export function readRule(message: NetlinkMessage, chain: (name: string) => Chain, sets: SetShapes): Rule {
  const attributes = attributesOf(message);
  const place = chain(text(attributes.get(RULE.CHAIN)));
  const comment = userdataComment(attributes.get(RULE.USERDATA));
  return {
    chain: place,
    statements: readStatements(attributes.get(RULE.EXPRESSIONS) ?? Buffer.alloc(0), place.table.family, sets),
    ...(comment !== undefined && { comment }),
    handle: attributes.get(RULE.HANDLE)?.readBigUInt64BE() ?? 0n,
  };
}

/** Chain name and handle of an echoed NFT_MSG_NEWRULE. */
export function readRuleHandle(message: NetlinkMessage): {
  readonly chain: string;
  readonly handle: bigint;
} {
  const attributes = attributesOf(message);
  return {
    chain: text(attributes.get(RULE.CHAIN)),
    handle: attributes.get(RULE.HANDLE)?.readBigUInt64BE() ?? 0n,
  };
}

/** The elements in one NFT_MSG_NEWSETELEM. */
export function readElements(message: NetlinkMessage): Element[] {
  const elements: Element[] = [];
  eachAttribute(attributesOf(message).get(ELEMENTS.LIST) ?? Buffer.alloc(0), (_, payload) => {
    elements.push(readElement(payload));
  });
  return elements;
}

function readElement(payload: Buffer): Element {
  const attributes = parseAttributes(payload);
  const value = (type: number) => parseAttributes(attributes.get(type) ?? Buffer.alloc(0));
  const data = value(ELEMENT.DATA);
  const verdict = data.get(DATA.VERDICT);
  const bytes = data.get(DATA.VALUE);
  const comment = userdataComment(attributes.get(ELEMENT.USERDATA));
  const timeoutMs = attributes.get(ELEMENT.TIMEOUT)?.readBigUInt64BE();
  return {
    key: Uint8Array.from(value(ELEMENT.KEY).get(DATA.VALUE) ?? []),
    ...(verdict ? { data: readVerdict(verdict) } : bytes && { data: Uint8Array.from(bytes) }),
    ...(comment !== undefined && { comment }),
    ...(timeoutMs && { timeoutMs: Number(timeoutMs) }),
  };
}
