import { RecordClass, RecordType } from "#wire/dns/index.ts";
import { makeReply, type Setup } from "../../core/index.ts";
import { args, noBlock } from "../../corefile/index.ts";

/** `any`: answers queries for ANY with the short HINFO record of RFC 8482. */
export const setup: Setup = (directive) => {
  args(directive, "any", 0);
  noBlock(directive);
  const strings = ["ANY obsoleted", "See RFC 8482"].map((text) => new TextEncoder().encode(text));
  return {
    name: "any",
    hot: "neutral", // queries for ANY always come here
    handle: (request, next) => {
      if (request.question.type !== RecordType.ANY) return next(request);
      const record = {
        name: request.question.name,
        type: RecordType.HINFO,
        class: RecordClass.IN,
        ttl: 8482,
        data: { kind: "text", strings },
      } as const;
      return makeReply("any", { answers: [record] });
    },
  };
};
