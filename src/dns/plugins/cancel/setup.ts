import type { Reply, Setup } from "../../core/index.ts";
import { args, CorefileError, duration, noBlock } from "../../corefile/index.ts";

/** CoreDNS' own default: a little more than the 5 s that resolvers wait. */
const defaultMs = 5001;

/** `cancel [TIMEOUT]`: a query without an answer after that time fails. */
export const setup: Setup = (directive) => {
  noBlock(directive);
  const [text] = args(directive, "cancel [TIMEOUT]", 0, 1);
  const timeoutMs = text === undefined ? defaultMs : duration(text, directive.at, "invalid timeout");
  if (timeoutMs <= 0) throw new CorefileError(directive.at, `invalid timeout: ${text}`);
  return {
    name: "cancel",
    hot: "neutral", // what is known in advance takes no time
    handle: (request, next) => {
      const reply = next(request);
      return reply instanceof Promise ? within(reply, timeoutMs) : reply;
    },
  };
};

async function within(reply: Promise<Reply>, timeoutMs: number): Promise<Reply> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("context deadline exceeded")), timeoutMs);
  try {
    return await Promise.race([reply, promise]);
  } finally {
    clearTimeout(timer);
  }
}
