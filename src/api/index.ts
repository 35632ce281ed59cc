export * from "./client.ts";
export * from "./errors.ts";
export * from "./resources.ts";
export * from "./selectors.ts";
export type * from "./transport.ts";
export type * from "./types.ts";
