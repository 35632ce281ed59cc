import type { Setup, TcpTimeouts } from "../../core/index.ts";
import { args, CorefileError, type Directive, duration, oneArg, readProperties } from "../../corefile/index.ts";

const dayMs = 86_400_000;

/**
 * `timeouts { read DURATION; write DURATION; idle DURATION }`: bounds of TCP connections. They are those of the port:
 * with several server blocks on it the last one counts, and after a reload those of the Corefile that opened it.
 */
export const setup: Setup = (directive) => {
  args(directive, "timeouts { … }", 0);
  const timeouts: { -readonly [K in keyof TcpTimeouts]: TcpTimeouts[K] } = {};
  readProperties(directive, {
    read: (property) => {
      timeouts.readMs = timeout(property);
    },
    write: (property) => {
      timeouts.writeMs = timeout(property);
    },
    idle: (property) => {
      timeouts.idleMs = timeout(property);
    },
  });
  if (Object.keys(timeouts).length === 0) {
    throw new CorefileError(directive.at, "timeouts block with no timeouts specified; expected read, write or idle");
  }
  return { name: "timeouts", tcpTimeouts: timeouts };
};

function timeout(property: Directive): number {
  const text = oneArg(property, `${property.name} DURATION`);
  const ms = duration(text, property.at, property.name, "s");
  if (ms < 1000 || ms > dayMs) {
    throw new CorefileError(property.at, `timeout provided '${text}' needs to be between 1 second and 24 hours`);
  }
  return ms;
}
