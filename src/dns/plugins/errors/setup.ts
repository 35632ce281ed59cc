import { errorMessage } from "#base/errors.ts";
import { typeName } from "#wire/dns/index.ts";
import type { Setup } from "../../core/index.ts";
import { args, CorefileError, duration, noBlock, readProperties } from "../../corefile/index.ts";
import { type Consolidation, Consolidator } from "./consolidator.ts";

/**
 * `errors { consolidate DURATION REGEXP; stacktrace }`: logs why a query was answered with SERVFAIL. `consolidate`
 * writes one line per duration for messages that match, with their number.
 */
export const setup: Setup = (directive, { log }) => {
  args(directive, "errors [{ … }]", 0);
  const rules: Consolidation[] = [];
  let stacktrace = false;
  readProperties(directive, {
    consolidate: (property) => {
      const [time, pattern, level] = args(property, "consolidate DURATION REGEXP [LEVEL]", 2, 3) as [
        string,
        string,
        string?,
      ];
      if (level !== undefined && !["warning", "error", "info", "debug"].includes(level)) {
        throw new CorefileError(property.at, `log level ${level}; allowed: warning, error, info, debug`);
      }
      const compiled = compile(pattern);
      if (!compiled) throw new CorefileError(property.at, `${JSON.stringify(pattern)} is no regular expression`);
      rules.push({
        intervalMs: duration(time, property.at, "consolidate"),
        pattern: compiled,
        source: pattern,
        level: level ?? "error",
      });
    },
    stacktrace: (property) => {
      args(property, "stacktrace", 0);
      noBlock(property);
      stacktrace = true;
    },
  });
  const consolidator = new Consolidator(rules, log);
  return {
    name: "errors",
    failed: (request, error) => {
      const text = stacktrace && error instanceof Error ? (error.stack ?? error.message) : errorMessage(error);
      consolidator.error(text, `2 ${request.question.name} ${typeName(request.question.type)}: ${text}`);
    },
    stop: async () => consolidator.stop(),
  };
};

function compile(pattern: string): RegExp | undefined {
  try {
    return new RegExp(pattern);
  } catch {
    return undefined;
  }
}
