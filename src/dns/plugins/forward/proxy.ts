import type { Setup } from "../../core/index.ts";
import { type Directive, readProperties } from "../../corefile/index.ts";
import { setup as setupForward } from "./setup.ts";

/**
 * `proxy FROM TO... { … }`, which CoreDNS took out in 1.5: works as forward, with a warning. What forward calls
 * otherwise is translated; what has no counterpart is left out.
 */
export const setup: Setup = (directive, context) => {
  const where = `${directive.at.file}:${directive.at.line}`;
  context.log.warn(
    `${where}: proxy is deprecated and acts as forward; write: forward ${directive.args.map((a) => a.text).join(" ")}`,
  );
  const block: Directive[] = [];
  const dropped = (property: Directive) => {
    context.log.warn(`${where}: ${property.name} of proxy has no counterpart in forward and is left out`);
  };
  readProperties(directive, {
    policy: (property) => {
      const [policy] = property.args;
      // least_conn has no counterpart; spreading at random is forward's default.
      if (policy && ["random", "round_robin", "first"].includes(policy.text)) {
        const text = policy.text === "first" ? "sequential" : policy.text;
        block.push({ ...property, args: [{ ...policy, text }] });
      } else dropped(property);
    },
    except: (property) => void block.push(property),
    max_fails: (property) => void block.push(property),
    protocol: (property) => {
      if (property.args[1]?.text === "force_tcp") block.push({ name: "force_tcp", args: [], at: property.at });
      else if (property.args[0]?.text !== "dns") dropped(property);
    },
    fail_timeout: dropped,
    health_check: dropped,
    health_check_port: dropped,
    spray: dropped,
  });
  return setupForward({ ...directive, name: "forward", block }, context);
};
