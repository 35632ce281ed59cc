// Numbers of include/uapi/linux/netfilter/nf_tables.h and nfnetlink.h.

/** Subsystem number of nftables: the high byte of a message type. */
const NFNL_SUBSYS_NFTABLES = 10;

/** Message types. */
const type = (n: number): number => (NFNL_SUBSYS_NFTABLES << 8) | n;
export const NFT_MSG = {
  NEWTABLE: type(0),
  GETTABLE: type(1),
  DELTABLE: type(2),
  NEWCHAIN: type(3),
  GETCHAIN: type(4),
  DELCHAIN: type(5),
  NEWRULE: type(6),
  GETRULE: type(7),
  DELRULE: type(8),
  NEWSET: type(9),
  GETSET: type(10),
  DELSET: type(11),
  NEWSETELEM: type(12),
  GETSETELEM: type(13),
  DELSETELEM: type(14),
  NEWGEN: type(15),
  GETGEN: type(16),
} as const;

/** Brackets of a batch; res_id names the subsystem. */
export const BATCH = {
  BEGIN: 0x10,
  END: 0x11,
  RES_ID: NFNL_SUBSYS_NFTABLES,
} as const;

/** NFTA_TABLE_*, NFTA_CHAIN_*, NFTA_HOOK_*, NFTA_RULE_*. */
export const TABLE = { NAME: 1, FLAGS: 2, USERDATA: 6 } as const;
export const CHAIN = {
  TABLE: 1,
  NAME: 3,
  HOOK: 4,
  POLICY: 5,
  TYPE: 7,
  USERDATA: 12,
} as const;
export const HOOK = { NUMBER: 1, PRIORITY: 2 } as const;
export const RULE = {
  TABLE: 1,
  CHAIN: 2,
  HANDLE: 3,
  EXPRESSIONS: 4,
  USERDATA: 7,
} as const;

/** NFTA_SET_*, NFT_SET_* flags. */
export const SET = {
  TABLE: 1,
  NAME: 2,
  FLAGS: 3,
  KEY_TYPE: 4,
  KEY_LEN: 5,
  DATA_TYPE: 6,
  DATA_LEN: 7,
  DESC: 9,
  DESC_SIZE: 1,
  ID: 10,
  TIMEOUT: 11,
  USERDATA: 13,
} as const;
export const SET_FLAG = {
  ANONYMOUS: 1,
  CONSTANT: 2,
  INTERVAL: 4,
  MAP: 8,
  TIMEOUT: 0x10,
  EVAL: 0x20,
} as const;
/** NFT_DATA_VERDICT as the data type of a verdict map. */
export const DATA_TYPE_VERDICT = 0xffffff00;

/** NFTA_SET_ELEM_LIST_*, NFTA_SET_ELEM_*. */
export const ELEMENTS = { TABLE: 1, SET: 2, LIST: 3 } as const;
export const ELEMENT = {
  KEY: 1,
  DATA: 2,
  FLAGS: 3,
  TIMEOUT: 4,
  USERDATA: 6,
} as const;

/** NFTA_GEN_*. */
export const GENERATION = { ID: 1 } as const;

/** NFTA_LIST_ELEM, NFTA_EXPR_*, NFTA_DATA_*, NFTA_VERDICT_*. */
export const LIST_ELEM = 1;
export const EXPR = { NAME: 1, DATA: 2 } as const;
export const DATA = { VALUE: 1, VERDICT: 2 } as const;
export const VERDICT = { CODE: 1, CHAIN: 2 } as const;
/** NF_DROP, NF_ACCEPT and NFT_CONTINUE … NFT_RETURN. */
export const VERDICT_CODES = {
  drop: 0,
  accept: 1,
  continue: -1,
  jump: -3,
  goto: -4,
  return: -5,
} as const;

/** Attributes of expressions. */
export const PAYLOAD = { DREG: 1, BASE: 2, OFFSET: 3, LEN: 4 } as const;
export const META = { DREG: 1, KEY: 2, SREG: 3, KEY_NFTRACE: 12 } as const;
export const CT = { DREG: 1, KEY: 2, SREG: 4 } as const;
export const FIB = {
  DREG: 1,
  RESULT: 2,
  FLAGS: 3,
  RESULT_ADDRTYPE: 3,
  F_SADDR: 1,
  F_DADDR: 2,
} as const;
export const NUMGEN = {
  DREG: 1,
  MODULUS: 2,
  TYPE: 3,
  OFFSET: 4,
  INC: 0,
  RANDOM: 1,
} as const;
export const CMP = { SREG: 1, OP: 2, DATA: 3 } as const;
export const BITWISE = { SREG: 1, DREG: 2, LEN: 3, MASK: 4, XOR: 5 } as const;
export const LOOKUP = { SET: 1, SREG: 2, DREG: 3, FLAGS: 5, F_INV: 1 } as const;
export const IMMEDIATE = { DREG: 1, DATA: 2 } as const;
export const NAT = {
  TYPE: 1,
  FAMILY: 2,
  ADDR_MIN: 3,
  PROTO_MIN: 5,
  FLAGS: 7,
  SNAT: 0,
  DNAT: 1,
} as const;
/** NF_NAT_RANGE_* (nf_nat.h). */
export const NAT_RANGE = {
  MAP_IPS: 1,
  PROTO_SPECIFIED: 2,
  RANDOM_FULLY: 16,
} as const;
export const MASQ = { FLAGS: 1 } as const;
export const TPROXY = { FAMILY: 1, REG_PORT: 3 } as const;
export const REDIR = { PROTO_MIN: 1, FLAGS: 3 } as const;
export const REJECT = {
  TYPE: 1,
  CODE: 2,
  ICMP: 0,
  TCP_RST: 1,
  ICMPX: 2,
} as const;
export const COUNTER = { BYTES: 1, PACKETS: 2 } as const;
export const LOG = { GROUP: 1, PREFIX: 2 } as const;
export const DYNSET = { NAME: 1, OP: 3, KEY: 4, DATA: 5, TIMEOUT: 6 } as const;

/** First of the sixteen 4-byte registers (NFT_REG32_00) and the verdict register. */
export const REG = { FIRST: 8, COUNT: 16, VERDICT: 0 } as const;

/** Hook numbers of the ip, ip6, inet and bridge families. */
export const HOOKS = ["prerouting", "input", "forward", "output", "postrouting"] as const;

/** NLM_F_ECHO: send me the notification of what I changed (it has the new rule's handle). */
export const NLM_F_ECHO = 0x8;
/** NLM_F_NONREC on a deletion: not its contents too. */
export const NLM_F_NONREC = 0x100;

/** nft's comments: type 0 in table, chain, rule and element userdata, 7 in sets (libnftnl's udata.h). */
export const UDATA = {
  COMMENT: 0,
  SET_KEY_BYTE_ORDER: 0,
  SET_DATA_BYTE_ORDER: 1,
  SET_KEY_TYPEOF: 3,
  SET_DATA_TYPEOF: 4,
  SET_COMMENT: 7,
} as const;
