import { hostname } from "node:os";
import { RecordClass, RecordType, type ResourceRecord } from "#wire/dns/index.ts";
import { makeReply, type Setup } from "../../core/index.ts";
import { noBlock } from "../../corefile/index.ts";

/** `chaos [VERSION] [AUTHORS...]`: answers TXT queries of class CH for version.bind, authors.bind, hostname.bind. */
export const setup: Setup = (directive) => {
  noBlock(directive);
  const [version = "Podwire", ...authors] = directive.args.map((token) => trimmed(token.text));
  const people = authors.length > 0 ? [...new Set(authors)].sort() : ["The Podwire Authors"];
  return {
    name: "chaos",
    hot: "neutral", // queries of other classes always come here
    anyClass: true,
    handle: (request, next) => {
      const { question, name } = request;
      const texts = question.class === RecordClass.CH && question.type === RecordType.TXT ? textsOf(name) : undefined;
      if (!texts) return next(request);
      return makeReply("chaos", { answers: texts.map((text) => textRecord(question.name, text)) });
    },
  };

  function textsOf(name: string): readonly string[] | undefined {
    if (name === "authors.bind.") return people;
    if (name === "version.bind." || name === "version.server.") return [version];
    if (name === "hostname.bind." || name === "id.server.") return [trimmed(hostname() || "localhost")];
    return undefined;
  }
};

/** What fits one character string. */
function trimmed(text: string): string {
  return text.slice(0, 255);
}

function textRecord(name: string, text: string): ResourceRecord {
  const strings = [new TextEncoder().encode(text).subarray(0, 255)];
  return { name, type: RecordType.TXT, class: RecordClass.CH, ttl: 0, data: { kind: "text", strings } };
}
