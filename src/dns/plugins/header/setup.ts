import type { Message } from "#wire/dns/index.ts";
import { mapReply, type Reply, type Setup } from "../../core/index.ts";
import { args, CorefileError, type Directive } from "../../corefile/index.ts";

/** A flag that is set or cleared. */
interface Rule {
  readonly flag: "aa" | "ra" | "rd";
  readonly state: boolean;
}

/**
 * `header { [query|response] set|clear FLAGS... }`: changes the flags aa, ra and rd of queries on their way in, or of
 * answers on their way out (the default).
 */
export const setup: Setup = (directive) => {
  args(directive, "header { … }", 0);
  const query: Rule[] = [];
  const response: Rule[] = [];
  for (const property of directive.block ?? []) {
    const { selector, rules } = rulesOf(property);
    (selector === "query" ? query : response).push(...rules);
  }
  if (query.length + response.length === 0) {
    throw new CorefileError(directive.at, "header without rules; expected [query|response] set|clear FLAGS...");
  }
  return {
    name: "header",
    handle: (request, next) => {
      const message = query.reduce(changedQuery, request.message);
      return mapReply(next({ ...request, message }), (reply) => response.reduce(changedReply, reply));
    },
  };
};

function rulesOf(property: Directive): { readonly selector: string; readonly rules: Rule[] } {
  const words = [property.name, ...property.args.map((token) => token.text)];
  const first = (words[0] as string).toLowerCase();
  const bare = first === "set" || first === "clear";
  if (!bare && first !== "query" && first !== "response") {
    throw new CorefileError(property.at, `setting up rule: invalid selector=${first} should be query or response`);
  }
  const [action, ...flags] = bare ? words : words.slice(1);
  const refuse = (what: string) => new CorefileError(property.at, `setting up rule: ${what}`);
  if (action === undefined) throw refuse("no flag action provided");
  if (flags.length === 0) throw refuse("invalid length for flags, at least one should be provided");
  const state = action.toLowerCase();
  if (state !== "set" && state !== "clear") throw refuse(`unknown flag action=${state}, should be set or clear`);
  const rules = flags.map((text): Rule => {
    const flag = text.toLowerCase();
    if (flag !== "aa" && flag !== "ra" && flag !== "rd") throw refuse(`unknown/unsupported flag=${flag}`);
    return { flag, state: state === "set" };
  });
  return { selector: bare ? "response" : first, rules };
}

function changedQuery(message: Message, { flag, state }: Rule): Message {
  if (flag === "aa") return { ...message, authoritative: state };
  return flag === "ra" ? { ...message, recursionAvailable: state } : { ...message, recursionDesired: state };
}

function changedReply(reply: Reply, { flag, state }: Rule): Reply {
  if (flag === "aa") return { ...reply, authoritative: state };
  return flag === "ra" ? { ...reply, recursionAvailable: state } : { ...reply, recursionDesired: state };
}
