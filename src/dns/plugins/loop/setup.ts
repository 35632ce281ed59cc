import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { errorMessage } from "#base/errors.ts";
import { encodeMessage, query, RecordClass, RecordType } from "#wire/dns/index.ts";
import { makeReply, type Setup } from "../../core/index.ts";
import { args, noBlock } from "../../corefile/index.ts";

/** How often a probe that came back ends the server: once through the front door, a second time by forwarding. */
const loopSeen = 2;
const retryMs = 500;
const giveUpMs = 30_000;

/**
 * `loop`: asks the block's own server once at the start for a random name (HINFO) that only the next server can answer. If
 * that query comes in a second time, some server it was forwarded to sends it back, and the program ends with an error
 * instead of turning in circles. After the test the plugin does nothing.
 */
export const setup: Setup = (directive, { instance, log, zones, servers }) => {
  args(directive, "loop", 0);
  noBlock(directive);
  const zone = zones[0] ?? ".";
  const number = () => String(randomInt(2 ** 40));
  const probe = `${number()}.${number()}.${zone === "." ? "" : zone}`;
  let seen = 0;
  let active = true;
  let timer: NodeJS.Timeout | undefined;
  const stopping = new AbortController();
  const test = async () => {
    const begin = Date.now();
    while (active && !stopping.signal.aborted && Date.now() - begin < giveUpMs) {
      const [own] = servers();
      const target = instance.listening().find(({ server }) => server === own);
      seen = 0; // an attempt without an answer must not count together with the next
      if (target && (await ask(probe, target, stopping.signal))) break;
      await new Promise<void>((resolve) => {
        timer = setTimeout(resolve, retryMs);
      });
    }
    active = false;
  };
  return {
    name: "loop",
    hot: "neutral", // its probe is no name that is published
    handle: (request, next) => {
      if (!active || request.question.type !== RecordType.HINFO || request.name !== probe) return next(request);
      seen++;
      if (seen < loopSeen) return next(request);
      active = false;
      const { address, port } = request.peer;
      const message = `Loop (${address}:${port} -> ${request.server.slice("dns://".length)}) detected for zone "${zone}". Query: "HINFO ${probe}"`;
      log.error(message);
      instance.fatal(message);
      return makeReply("loop", { drop: true });
    },
    // Without its test the server serves all the same.
    started: () => void test().catch((error: unknown) => log.warn("Loop test failed", { error: errorMessage(error) })),
    stop: async () => {
      active = false;
      stopping.abort();
      clearTimeout(timer);
    },
  };
};

/** Sends the probe to this server; true when any answer came back. */
async function ask(
  name: string,
  { address, port }: { readonly address: string; readonly port: number },
  signal: AbortSignal,
): Promise<boolean> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  const bytes = encodeMessage(query(randomInt(65536), { name, type: RecordType.HINFO, class: RecordClass.IN }));
  try {
    return await new Promise<boolean>((resolve) => {
      socket.on("message", () => resolve(true));
      // Nobody listens there yet (ECONNREFUSED): it is asked again.
      socket.on("error", () => resolve(false));
      signal.addEventListener("abort", () => resolve(false), { once: true });
      setTimeout(() => resolve(false), 5000).unref();
      socket.send(bytes, port, address || "127.0.0.1");
    });
  } finally {
    socket.close();
  }
}
