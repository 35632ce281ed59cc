import { errorMessage } from "#base/errors.ts";
import { typeName } from "#wire/dns/index.ts";
import type { Setup } from "../../core/index.ts";
import { args, CorefileError, duration, noBlock, readProperties, regexp } from "../../corefile/index.ts";
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
      const [time, pattern, ...more] = args(property, "consolidate DURATION REGEXP [LEVEL] [show_first]", 2, 4);
      const showFirst = more.includes("show_first");
      const [level = "error", other] = more.filter((word) => word !== "show_first");
      if (other !== undefined || !["warning", "error", "info", "debug"].includes(level)) {
        throw new CorefileError(property.at, `unknown log level argument in consolidate: ${other ?? level}`);
      }
      rules.push({
        intervalMs: duration(time as string, property.at, "consolidate"),
        pattern: regexp(pattern as string, property.at),
        source: pattern as string,
        level,
        showFirst,
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
