/** Broken packets for tests. */
export * from "./corpus.ts";
