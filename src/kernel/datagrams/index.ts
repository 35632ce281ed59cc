/** UDP sockets that move many packets in one system call and say which address each was sent to. */
export { DatagramBatch, type Envelope, envelopeBytes, peerOf, slotBytes } from "./batch.ts";
export { closeDatagrams, duplicate, isV6, openDatagrams, reply, sendTo, setBlocking, wake } from "./socket.ts";
