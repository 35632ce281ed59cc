import { hostname } from "node:os";
import { mapReply, type Setup } from "../../core/index.ts";
import { noBlock } from "../../corefile/index.ts";

/** The EDNS option of RFC 5001. */
const nsidCode = 3;

/** `nsid [DATA]`: says who answers to a client that asks (`dig +nsid`); the host's name by default. */
export const setup: Setup = (directive) => {
  noBlock(directive);
  const text = directive.args.map((token) => token.text).join(" ") || hostname() || "localhost";
  const option = { code: nsidCode, data: new TextEncoder().encode(text) };
  return {
    name: "nsid",
    hot: "neutral", // queries with EDNS options always come here
    handle: (request, next) => {
      const reply = next(request);
      if (!request.message.edns?.options.some(({ code }) => code === nsidCode)) return reply;
      return mapReply(reply, (answer) => ({ ...answer, options: [...(answer.options ?? []), option] }));
    },
  };
};
