/** nftables: a typed model that prints as nft text, goes out as raw netlink, and reads back; and a stateful fake. */
export * from "./dataTypes.ts";
export type { Nftables } from "./driver.ts";
export { NftError, type NftErrorDetails } from "./errors.ts";
export { FakeNftables } from "./fake.ts";
export * from "./fields.ts";
export { type NftablesOptions, openNftables } from "./kernel.ts";
export * from "./model.ts";
export type { OriginFinder, OriginIndex } from "./originIndex.ts";
export { type ElementList, PackedElements } from "./packed.ts";
export * from "./statements.ts";
export {
  chainText,
  elementKeyText,
  elementText,
  ruleText,
  setText,
  tableText,
  verdictText,
} from "./text.ts";
export { type Operation, operationText, Transaction } from "./transaction.ts";
