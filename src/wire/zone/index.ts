/** Master files: text ⇄ records (RFC 1035 §5, 2308, 3597). Pure: what $INCLUDE names is read by the caller. */
export * from "./errors.ts";
export * from "./parser.ts";
