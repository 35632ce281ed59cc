/** The Corefile language: words, server blocks, directives, and how plugins read their arguments. */
export * from "./arguments.ts";
export * from "./errors.ts";
export type { Environment, Token } from "./lexer.ts";
export * from "./parser.ts";
