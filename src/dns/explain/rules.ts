import type { ResolverSettings, Tool } from "./resolvConf.ts";

/** What glibc does between servers, by option. */
const ROTATES =
  "rotate: a program begins with any server, and each name with the next one; the list begins with the first";
const OVER_TCP = "use-vc: over TCP the next server is asked only when one cannot be reached, and there is no time-out";
const IN_TURN = "the next server after SERVFAIL, REFUSED or the time-out; then all again, as often as attempts says";

/** Which server is asked when, in words; none where there is one server and nothing to choose. */
export function ruleOf({ nameservers, options }: ResolverSettings, tool: Tool, fail: boolean): string | undefined {
  if (nameservers.length < 2) return undefined;
  switch (tool) {
    case "glibc":
      return [options.includes("use-vc") ? OVER_TCP : IN_TURN, ...(options.includes("rotate") ? [ROTATES] : [])].join(
        "; ",
      );
    case "musl":
      return "all servers at once; the first answer that is no failure counts";
    default:
      return fail
        ? `the next server after the time-out; SERVFAIL (${switches(tool, fail)}) and REFUSED end it`
        : `the next server after SERVFAIL (${switches(tool, fail)}) or the time-out; REFUSED ends it`;
  }
}

/** How a tool of BIND's is told otherwise. */
function switches(tool: "nslookup" | "host" | "dig", fail: boolean): string {
  const [word, other] = {
    nslookup: fail ? ["fail", "nofail is its default"] : ["nofail", "nslookup -fail ends there"],
    host: fail ? ["-s", "without it the next one is asked"] : ["its default", "host -s ends there"],
    dig: fail ? ["+fail", "dig +nofail goes on"] : ["+nofail", "+fail is its default"],
  }[tool] as [string, string];
  return `${word}; ${other}`;
}
