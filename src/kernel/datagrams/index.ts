/** UDP sockets that move many packets in one system call and say which address each was sent to. */

export { onReadable } from "#kernel/ffi/index.ts";
export { DatagramBatch, type Envelope, envelopeBytes, peerOf, slotBytes } from "./batch.ts";
export { closeDatagrams, openDatagrams, portOf, reply, setBlocking, wake } from "./socket.ts";
