import type { Question, ResourceRecord } from "./records.ts";

/** The header's fields other than counts (RFC 1035 §4.1.1; ad and cd from RFC 4035 §3). */
export interface Header {
  /** 0–65535. */
  readonly id: number;
  /** qr: an answer, not a query. */
  readonly response: boolean;
  /** 0–15, see Opcode. */
  readonly opcode: number;
  /** aa */
  readonly authoritative: boolean;
  /** tc */
  readonly truncated: boolean;
  /** rd */
  readonly recursionDesired: boolean;
  /** ra */
  readonly recursionAvailable: boolean;
  /** ad */
  readonly authenticData: boolean;
  /** cd */
  readonly checkingDisabled: boolean;
  /** With the upper eight bits of EDNS when there are any: 0–4095. */
  readonly rcode: number;
}

/** One EDNS option (RFC 6891 §6.1.2). */
export interface EdnsOption {
  readonly code: number;
  readonly data: Uint8Array;
}

/** The OPT pseudo-record, taken out of the additional section (RFC 6891 §6.1). */
export interface Edns {
  /** Bytes of UDP payload that the sender takes. */
  readonly udpSize: number;
  readonly version: number;
  /** DNSSEC OK. */
  readonly dnssecOk: boolean;
  readonly options: readonly EdnsOption[];
}

/** A whole message. */
export interface Message extends Header {
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  /** Without OPT, which is `edns`. */
  readonly additionals: readonly ResourceRecord[];
  readonly edns?: Edns;
}

/** Bytes of a header. */
export const headerBytes = 12;

/** A query for one question, recursion desired. */
export function query(id: number, question: Question, edns?: Edns): Message {
  return {
    id,
    response: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: false,
    rcode: 0,
    questions: [question],
    answers: [],
    authorities: [],
    additionals: [],
    ...(edns && { edns }),
  };
}
