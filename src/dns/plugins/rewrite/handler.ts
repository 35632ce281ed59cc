import type { Handler, Plugin, Reply, Request } from "../../core/index.ts";
import type { AnswerRule, Rule } from "./rules.ts";

/** A rule, and whether the rules behind it are tried after it fitted. */
export interface Step {
  readonly rule: Rule;
  readonly goOn: boolean;
}

/** Rewrites requests on their way in and their answers on the way out; invisible to the client. */
export class RewritePlugin implements Plugin {
  readonly name = "rewrite";
  readonly #steps: Step[] = [];

  /** Adds a rule behind those that are there. */
  add(step: Step): void {
    this.#steps.push(step);
  }

  handle(request: Request, next: Handler): Reply | Promise<Reply> {
    let current = request;
    const answers: AnswerRule[] = [];
    for (const { rule, goOn } of this.#steps) {
      const rewritten = rule(current);
      if (!rewritten) continue;
      current = rewritten.request;
      if (rewritten.answer) answers.unshift(rewritten.answer);
      if (!goOn) break;
    }
    if (answers.length === 0) return next(current);
    return answered(next(current), answers, request);
  }
}

/** The last rule's first, so that names go back the way they came. */
async function answered(
  reply: Reply | Promise<Reply>,
  answers: readonly AnswerRule[],
  request: Request,
): Promise<Reply> {
  let value = await reply;
  for (const answer of answers) value = await answer(value, request);
  return value;
}
