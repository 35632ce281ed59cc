/** The C library: bindings, errors, constants. The only folder that loads foreign code. */
export { AF, CLONE, O, SOCK, syscallNumbers } from "./constants.ts";
export { check, errnoName, isErrno, lastErrno, SysError } from "./errors.ts";
export { addressOf, libc } from "./libc.ts";
export { onReadable } from "./readable.ts";
