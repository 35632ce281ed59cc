import { mapReply, type Setup } from "../../core/index.ts";
import { args, integer, noBlock } from "../../corefile/index.ts";

/** `bufsize [SIZE]`: UDP answers are no larger, whatever the client offers, so that they pass without fragments. */
export const setup: Setup = (directive) => {
  noBlock(directive);
  const [text] = args(directive, "bufsize [SIZE]", 0, 1);
  const size = text === undefined ? 1232 : integer(text, directive.at, "bufsize", 512, 4096);
  return {
    name: "bufsize",
    handle: (request, next) => {
      const { edns } = request.message;
      if (!edns || edns.udpSize <= size) return next(request);
      const message = { ...request.message, edns: { ...edns, udpSize: size } };
      return mapReply(next({ ...request, message }), (reply) => ({ ...reply, maxUdpBytes: size }));
    },
  };
};
