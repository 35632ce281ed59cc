import { lowerName, type Question, type ResourceRecord } from "#wire/dns/index.ts";
import { asking, type Reply, type Request, withTarget } from "../../core/index.ts";
import { ownerRule, type RecordRule, valueRule, withRules } from "./answers.ts";
import { type NameRewriter, validName } from "./names.ts";

/** What a rule that fits does: the request as it goes on, and what is done to its answer. */
export interface Rewritten {
  readonly request: Request;
  readonly answer?: AnswerRule;
}

/** Changes an answer; `request` is the client's own. */
export type AnswerRule = (reply: Reply, request: Request) => Reply | Promise<Reply>;

/** One rule; undefined when it does not fit. Throws for a rewrite that gives no domain name. */
export type Rule = (request: Request) => Rewritten | undefined;

/** Another name. `answers` are applied to the answer; `auto`: the new name becomes the old one again. */
export function nameRule(rewrite: NameRewriter, answers: readonly RecordRule[], auto: boolean): Rule {
  return (request) => {
    const result = rewrite(request.name);
    if (result === undefined) return undefined;
    const name = validName(result);
    if (name === undefined) throw new Error(`invalid name after rewrite: ${result}`);
    const before = request.question.name;
    const back: NameRewriter = (other) => (other === lowerName(name) ? before : undefined);
    const rules = auto ? [ownerRule(back), valueRule(back), ...answers] : answers;
    return {
      request: asking(request, { ...request.question, name }),
      ...(rules.length > 0 && { answer: (reply: Reply) => withRules(reply, rules) }),
    };
  };
}

/** Another type or class. */
export function fieldRule(field: "type" | "class", from: number, to: number): Rule {
  return (request) => {
    if (request.question[field] !== from) return undefined;
    const question: Question = { ...request.question, [field]: to };
    return { request: asking(request, question) };
  };
}

/** Leaves the request as it is and changes the answers of names that fit. */
export function answerRule(fits: (name: string) => boolean, rule: (reply: Reply) => Reply): Rule {
  return (request) => (fits(request.name) ? { request, answer: rule } : undefined);
}

/** Other targets of CNAME records; what the new target leads to is looked up. */
export function aliasRule(
  rewrite: NameRewriter,
  resolve: (request: Request, name: string) => Reply | Promise<Reply>,
): Rule {
  return (request) => ({
    request,
    answer: async (reply, own) => {
      const index = reply.answers.findIndex(({ data, type }) => {
        return type === 5 && data.kind === "name" && rewrite(lowerName(data.target)) !== undefined;
      });
      const record = reply.answers[index] as ResourceRecord;
      if (index < 0 || record.data.kind !== "name") return reply;
      const target = validName(rewrite(lowerName(record.data.target)) as string);
      if (target === undefined) throw new Error(`invalid CNAME target after rewrite of ${record.data.target}`);
      const alias: ResourceRecord = { ...record, data: { kind: "name", target } };
      const found = await resolve(own, target);
      return withTarget({ ...reply, answers: [...reply.answers.slice(0, index), alias] }, found);
    },
  });
}
