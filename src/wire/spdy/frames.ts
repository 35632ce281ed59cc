import type { SpdyHeaders } from "./headers.ts";

/** A frame of SPDY/3.1. Ids have 31 bits; `fin`: the sender sends no more on the stream. */
export type SpdyFrame =
  | {
      readonly type: "synStream";
      readonly stream: number;
      /** The stream that this one belongs to; 0 for none. */
      readonly associated: number;
      /** 0 is the highest, 7 the lowest. */
      readonly priority: number;
      readonly fin: boolean;
      /** The receiver will send nothing. */
      readonly unidirectional: boolean;
      readonly headers: SpdyHeaders;
    }
  | { readonly type: "synReply"; readonly stream: number; readonly fin: boolean; readonly headers: SpdyHeaders }
  | { readonly type: "headers"; readonly stream: number; readonly fin: boolean; readonly headers: SpdyHeaders }
  | { readonly type: "rstStream"; readonly stream: number; readonly status: number }
  | { readonly type: "settings"; readonly clear: boolean; readonly settings: readonly SpdySetting[] }
  | { readonly type: "ping"; readonly id: number }
  | { readonly type: "goAway"; readonly lastStream: number; readonly status: number }
  /** `stream` 0: of the session. */
  | { readonly type: "windowUpdate"; readonly stream: number; readonly delta: number }
  /** A decoder gives a long one in pieces, as they come. */
  | { readonly type: "data"; readonly stream: number; readonly fin: boolean; readonly data: Buffer };

/** One entry of a SETTINGS frame. */
export interface SpdySetting {
  readonly id: number;
  readonly flags: number;
  readonly value: number;
}
