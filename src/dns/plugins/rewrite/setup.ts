import { Rcode, RecordClass, typeNumber } from "#wire/dns/index.ts";
import { type Setup, type SetupContext, withQuestion } from "../../core/index.ts";
import { CorefileError, type Directive, integer, type Token } from "../../corefile/index.ts";
import { ownerRule, type RecordRule, ttlRule, valueRule, withRules } from "./answers.ts";
import { ednsRule } from "./edns.ts";
import { RewritePlugin, type Step } from "./handler.ts";
import { type Match, matchOf, nameRewriter, nameTest } from "./names.ts";
import { aliasRule, answerRule, fieldRule, nameRule, type Rule } from "./rules.ts";

/** `rewrite [continue|stop] FIELD …`, or the same words in a block. All of a server block's are one list of rules. */
export const setup: Setup = (directive, context) => {
  const step = stepOf(directive, context);
  const before = context.siblings().find((plugin) => plugin instanceof RewritePlugin);
  if (before) {
    before.add(step);
    return { name: "rewrite" };
  }
  const plugin = new RewritePlugin();
  plugin.add(step);
  return plugin;
};

function stepOf(directive: Directive, context: SetupContext): Step {
  const lines = directive.block ?? [];
  // A block is its lines' words one after the other: `name regex A B` and below it `answer name C D`.
  const words = [
    ...directive.args,
    ...lines.flatMap(({ name, args, at }) => [{ ...at, text: name, quoted: false }, ...args]),
  ];
  const mode = words[0]?.text.toLowerCase();
  const [field, ...rest] = mode === "continue" || mode === "stop" ? words.slice(1) : words;
  if (!field) throw new CorefileError(directive.at, "no rule type specified for rewrite");
  return { rule: ruleOf(field, rest, context), goOn: mode === "continue" };
}

function ruleOf(field: Token, words: readonly Token[], context: SetupContext): Rule {
  switch (field.text.toLowerCase()) {
    case "answer":
      throw new CorefileError(field, "response rewrites must begin with a name rule");
    case "name":
      return readNameRule(field, words);
    case "class":
      return readFieldRule(
        "class",
        field,
        words,
        (text) => RecordClass[text.toUpperCase() as keyof typeof RecordClass],
      );
    case "type":
      return readFieldRule("type", field, words, typeNumber);
    case "edns0":
      return ednsRule(words, field);
    case "ttl":
      return readTtlRule(field, words);
    case "cname": {
      const { match, from, rest } = matched(field, words, 1);
      const [to] = rest as [Token];
      return aliasRule(nameRewriter(match, from.text, to.text, from), (request, name) =>
        context.instance.resolve(withQuestion(request, name, request.question.type)),
      );
    }
    case "rcode": {
      const { match, from, rest } = matched(field, words, 2);
      const [before, after] = rest.map(rcodeOf) as [number, number];
      return answerRule(nameTest(match, from.text, from), (reply) =>
        reply.rcode === before ? { ...reply, rcode: after } : reply,
      );
    }
    default:
      throw new CorefileError(
        field,
        `invalid rule type ${JSON.stringify(field.text)}; allowed: name, class, type, edns0, ttl, cname, rcode`,
      );
  }
}

/** `[MATCH] FROM` and so many words more. */
function matched(
  field: Token,
  words: readonly Token[],
  more: number,
): { readonly match: Match; readonly from: Token; readonly rest: readonly Token[] } {
  const { text: name } = field;
  if (words.length < 1 + more) throw new CorefileError(field, `too few arguments for a ${name} rule`);
  if (words.length === 1 + more) return { match: "exact", from: words[0] as Token, rest: words.slice(1) };
  const match = matchOf(words[0]?.text);
  if (!match) throw new CorefileError(words[0] as Token, `unknown ${name} rule type ${JSON.stringify(words[0]?.text)}`);
  if (words.length > 2 + more) throw new CorefileError(field, `too many arguments for a ${name} rule`);
  return { match, from: words[1] as Token, rest: words.slice(2) };
}

function readNameRule(field: Token, words: readonly Token[]): Rule {
  const answerAt = words.findIndex(({ text }, i) => i >= 2 && text.toLowerCase() === "answer");
  const { match, from, rest } = matched(field, answerAt < 0 ? words : words.slice(0, answerAt), 1);
  const to = rest[0] as Token;
  const { rules, auto } = readAnswers(field, answerAt < 0 ? [] : words.slice(answerAt));
  const rewrite = nameRewriter(match, from.text, to.text, from);
  if (match === "suffix" && auto) {
    // Suffixes can be turned round for every name, not only for the one that was asked.
    const back = nameRewriter("suffix", to.text, from.text, to);
    return nameRule(rewrite, [ownerRule(back), valueRule(back), ...rules], false);
  }
  return nameRule(rewrite, rules, auto || match === "exact");
}

/** `answer auto`, `answer name FROM TO`, `answer value FROM TO`, any number of them. */
function readAnswers(field: Token, words: readonly Token[]): { readonly rules: RecordRule[]; readonly auto: boolean } {
  const rules: RecordRule[] = [];
  let auto = false;
  const queue = [...words];
  for (let word = queue.shift(); word; word = queue.shift()) {
    const kind = queue.shift()?.text.toLowerCase();
    if (word.text.toLowerCase() !== "answer" || kind === undefined) {
      throw new CorefileError(word, `exceeded the number of arguments for a ${field.text} rule: ${word.text}`);
    }
    if (kind === "auto") {
      auto = true;
      continue;
    }
    const [from, to] = queue.splice(0, 2);
    if ((kind !== "name" && kind !== "value") || !from || !to) {
      throw new CorefileError(word, "answer rewrites are: answer auto, answer name FROM TO, answer value FROM TO");
    }
    const rewrite = nameRewriter("regex", from.text, to.text, from);
    rules.push(kind === "name" ? ownerRule(rewrite) : valueRule(rewrite));
  }
  return { rules, auto };
}

function readFieldRule(
  kind: "class" | "type",
  field: Token,
  words: readonly Token[],
  number: (text: string) => number | undefined,
): Rule {
  if (words.length !== 2) throw new CorefileError(field, `${kind} rules must have exactly two arguments`);
  const [from, to] = words.map((word) => {
    const value = number(word.text);
    if (value === undefined) throw new CorefileError(word, `invalid ${kind} ${JSON.stringify(word.text)}`);
    return value;
  }) as [number, number];
  return fieldRule(kind, from, to);
}

/** `[MATCH] NAME SECONDS`, or MIN-MAX with either end open. */
function readTtlRule(field: Token, words: readonly Token[]): Rule {
  const { match, from, rest } = matched(field, words, 1);
  const word = rest[0] as Token;
  const [, min, dash, max] = /^(\d*)(-?)(\d*)$/.exec(word.text) ?? [];
  if (!min && !max) throw new CorefileError(word, `invalid TTL '${word.text}' for a ttl rule`);
  const bound = (text: string | undefined, fallback: number) =>
    text ? integer(text, word, "TTL", 0, 0x7fffffff) : fallback;
  const lowest = bound(min, 0);
  const highest = dash ? bound(max, 0xffffffff) : lowest;
  if (lowest > highest) throw new CorefileError(word, `invalid TTL '${word.text}': the smaller one comes first`);
  const rule = ttlRule(lowest, highest);
  return answerRule(nameTest(match, from.text, from), (reply) => withRules(reply, [rule]));
}

function rcodeOf(word: Token): number {
  const name = word.text.toUpperCase();
  const known = Object.hasOwn(Rcode, name) ? Rcode[name as keyof typeof Rcode] : Number(word.text);
  if (!(known >= 0 && known <= 0xfff)) throw new CorefileError(word, `invalid RCODE ${JSON.stringify(word.text)}`);
  return known;
}
