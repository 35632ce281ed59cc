/** Netlink: message codec, sockets, and typed route netlink with a stateful fake. */
export * from "./constants.ts";
export { describeOperation } from "./describe.ts";
export type * from "./driver.ts";
export { NetlinkError, type NetlinkFailure } from "./errors.ts";
export { FakeNetwork, type FakeRtnetlink } from "./fake.ts";
export { formatMac, parseMac, randomMac } from "./mac.ts";
export {
  type Attributes,
  attributeText,
  eachAttribute,
  type NetlinkMessage,
  parseAttributes,
  parseMessages,
} from "./messageReader.ts";
export { MessageWriter } from "./messageWriter.ts";
export * from "./model.ts";
export { isReady, type ReadinessWish, waitUntilReady } from "./ready.ts";
export { openRtnetlink } from "./rtnetlink.ts";
export { NetlinkSocket, type NetlinkSocketOptions } from "./socket.ts";
