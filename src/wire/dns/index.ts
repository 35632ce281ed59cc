/** DNS messages on the wire: RFC 1035, 3596 (AAAA), 2782 (SRV), 6891 (EDNS), 3597 (unknown types). */
export * from "./constants.ts";
export * from "./decode.ts";
export * from "./encode.ts";
export * from "./errors.ts";
export * from "./message.ts";
export * from "./name.ts";
export * from "./records.ts";
