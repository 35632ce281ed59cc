/** Netlink: message codec, sockets, and typed route netlink with a stateful fake. */
export * from "./constants.ts";
export { NetlinkError, type NetlinkFailure } from "./errors.ts";
export {
  type Attributes,
  attributeText,
  eachAttribute,
  type NetlinkMessage,
  parseAttributes,
  parseMessages,
} from "./messageReader.ts";
export { MessageWriter } from "./messageWriter.ts";
export { NetlinkSocket, type NetlinkSocketOptions } from "./socket.ts";
