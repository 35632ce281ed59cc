import type { Call, Reply } from "./call.ts";

/** Clients of people: as upstream, they get indented JSON (apiserver's isPrettyPrint). */
const agents = /^(curl|Wget|Mozilla\/5\.0)/;

/** Whether a call's JSON is to be indented: ?pretty says so, or the client is a person's. */
export function wantsPretty({ url, headers }: Pick<Call, "url" | "headers">): boolean {
  const asked = /[?&]pretty=([^&]*)/.exec(url)?.[1];
  return asked === undefined ? agents.test(headers["user-agent"] ?? "") : asked !== "0" && asked !== "false";
}

/** The same answer with its JSON indented; others as they are. */
export function pretty(reply: Reply): Reply {
  if (reply.stream || !reply.headers["content-type"]?.startsWith("application/json") || reply.status === 304)
    return reply;
  const { pieces, ...rest } = reply;
  const text = (pieces ? Buffer.concat([...pieces]) : Buffer.from(reply.body)).toString();
  return { ...rest, body: `${JSON.stringify(JSON.parse(text), undefined, 2)}\n` };
}
