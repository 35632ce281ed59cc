import koffi from "koffi";

/**
 * Calls back in the event loop whenever a socket can be read, until the returned function is called; what is left unread
 * calls back again. Nothing is read, no thread waits, and the socket does not block from then on. Close it after the end.
 * @param callback must not throw
 */
export function onReadable(fd: number, callback: () => void): () => void {
  let ended = false;
  const turn = (failed: boolean) => {
    if (ended) return;
    callback();
    // libuv looks no more at a socket with an error, which reading has taken from it.
    if (failed && !ended) handle.start({ readable: true }, told);
  };
  // koffi calls outside of any turn of the event loop, so that promises would wait for the next one; an immediate is one,
  // and comes before the loop waits again. The first word is libuv's status, whatever koffi's types say.
  const told = (status: unknown) => void setImmediate(turn, status !== 0);
  const handle = koffi.node.poll(fd, { readable: true }, told);
  return () => {
    ended = true;
    handle.close();
  };
}
