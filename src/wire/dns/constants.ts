/** Record type numbers (IANA "DNS Parameters"; RFC 1035 §3.2.2, 3596, 2782, 6672, 6891). */
export const RecordType = {
  A: 1,
  NS: 2,
  MD: 3,
  MF: 4,
  CNAME: 5,
  SOA: 6,
  MB: 7,
  MG: 8,
  MR: 9,
  NULL: 10,
  WKS: 11,
  PTR: 12,
  HINFO: 13,
  MINFO: 14,
  MX: 15,
  TXT: 16,
  RP: 17,
  AFSDB: 18,
  RT: 21,
  SIG: 24,
  KEY: 25,
  PX: 26,
  AAAA: 28,
  LOC: 29,
  SRV: 33,
  NAPTR: 35,
  KX: 36,
  CERT: 37,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  SSHFP: 44,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  NSEC3: 50,
  NSEC3PARAM: 51,
  TLSA: 52,
  CDS: 59,
  CDNSKEY: 60,
  SVCB: 64,
  HTTPS: 65,
  SPF: 99,
  TKEY: 249,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
  URI: 256,
  CAA: 257,
} as const;

/** Class numbers (RFC 1035 §3.2.4, RFC 2136 for NONE). */
export const RecordClass = { IN: 1, CH: 3, HS: 4, NONE: 254, ANY: 255 } as const;

/** Operation codes of the header (RFC 1035 §4.1.1, 1996, 2136). */
export const Opcode = { QUERY: 0, IQUERY: 1, STATUS: 2, NOTIFY: 4, UPDATE: 5 } as const;

/** Response codes; those above 15 need EDNS for their upper bits (RFC 1035 §4.1.1, 2136, 6891 §6.1.3). */
export const Rcode = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  YXDOMAIN: 6,
  YXRRSET: 7,
  NXRRSET: 8,
  NOTAUTH: 9,
  NOTZONE: 10,
  BADVERS: 16,
  BADKEY: 17,
  BADTIME: 18,
  BADCOOKIE: 23,
} as const;

function reversed(table: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(table).map(([name, number]) => [number, name]));
}

const typeNames = reversed(RecordType);
const classNames = reversed(RecordClass);
const rcodeNames = reversed(Rcode);

/** `A`, `SRV`, …; `TYPE65280` for a number without a name (RFC 3597 §5). */
export function typeName(type: number): string {
  return typeNames.get(type) ?? `TYPE${type}`;
}

/** The number of `A`, `srv` or `TYPE65280`; undefined for other text. */
export function typeNumber(name: string): number | undefined {
  return numberOf(RecordType, "TYPE", name);
}

/** `IN`, `CH`, …; `CLASS4096` for a number without a name (RFC 3597 §5). */
export function className(recordClass: number): string {
  return classNames.get(recordClass) ?? `CLASS${recordClass}`;
}

/** `NOERROR`, `NXDOMAIN`, …; `RCODE11` for a number without a name. */
export function rcodeName(rcode: number): string {
  return rcodeNames.get(rcode) ?? `RCODE${rcode}`;
}

function numberOf(table: Readonly<Record<string, number>>, prefix: string, name: string): number | undefined {
  const upper = name.toUpperCase();
  if (Object.hasOwn(table, upper)) return table[upper];
  const digits = upper.startsWith(prefix) ? upper.slice(prefix.length) : "";
  if (!/^\d{1,5}$/.test(digits)) return undefined;
  const number = Number(digits);
  return number <= 0xffff ? number : undefined;
}
