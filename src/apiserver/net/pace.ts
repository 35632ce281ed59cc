import type { Writable } from "node:stream";
import { setImmediate } from "node:timers/promises";

/** Bytes that may be on their way before more are made. */
const ahead = 512 << 10;

/** Resolves when others have had their turn and the client has read what was on its way, or is gone. */
export async function readyForMore(out: Writable): Promise<void> {
  if (!out.writableNeedDrain || out.writableLength < ahead) return setImmediate();
  await new Promise<void>((resolve) => {
    const done = () => {
      out.off("drain", done);
      out.off("close", done);
      out.off("error", done);
      resolve();
    };
    out.on("drain", done);
    out.on("close", done);
    out.on("error", done);
  });
}
