import { MessageWriter, NLM_F } from "#kernel/netlink/index.ts";
import { BATCH } from "./constants.ts";
import type { EncodedMessage, EncodedTransaction } from "./encode.ts";

/**
 * Cuts messages into sends of at most `limit` bytes. Each send is a batch of its own, atomic and acknowledged at its end.
 * @returns ranges of message numbers
 * @throws RangeError when messages that must stay together exceed the limit
 */
export function cutIntoSends(messages: readonly EncodedMessage[], limit: number): (readonly [number, number])[] {
  const room = limit - 2 * BATCH_BRACKET_BYTES;
  const sends: (readonly [number, number])[] = [];
  let first = 0;
  let lastCut = 0;
  for (const [index, message] of messages.entries()) {
    if (message.mayCut) lastCut = index;
    const start = messages[first]?.start ?? 0;
    if (message.end - start <= room) continue;
    const tooLarge = lastCut === first || message.end - (messages[lastCut]?.start ?? 0) > room;
    if (tooLarge) throw new RangeError(`nftables operations that belong together exceed the limit of ${limit} bytes`);
    sends.push([first, lastCut]);
    first = lastCut;
  }
  if (messages.length > first) sends.push([first, messages.length]);
  return sends;
}

/** Bytes of NFNL_MSG_BATCH_BEGIN or _END: nlmsghdr and nfgenmsg. */
const BATCH_BRACKET_BYTES = 20;

/** One send: BATCH_BEGIN, the messages, an acknowledgement asked on the last, BATCH_END. */
export function batch({ writer, messages }: EncodedTransaction, [from, to]: readonly [number, number]): MessageWriter {
  const first = messages[from];
  const last = messages[to - 1];
  if (!first || !last) throw new RangeError(`no messages ${from} to ${to}`);
  const body = Buffer.from(writer.bytes().subarray(first.start, last.end));
  const flags = last.start - first.start + 6;
  body.writeUInt16LE(body.readUInt16LE(flags) | NLM_F.ACK, flags);
  return new MessageWriter(body.length + 2 * BATCH_BRACKET_BYTES)
    .raw(bracket(BATCH.BEGIN))
    .raw(body)
    .raw(bracket(BATCH.END));
}

/** Sequence number 0: a refusal of the bracket itself is told from one of a message. */
function bracket(type: number): Buffer {
  const bytes = Buffer.alloc(BATCH_BRACKET_BYTES);
  bytes.writeUInt32LE(BATCH_BRACKET_BYTES, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(NLM_F.REQUEST, 6);
  bytes.writeUInt16BE(BATCH.RES_ID, 18);
  return bytes;
}
