import { expect, it } from "vitest";
import { createLogger } from "#base/log.ts";
import { Complaints } from "./complaints.ts";

it("equal words are written once in a second, and how many were left out", () => {
  const lines: string[] = [];
  let now = 0;
  const log = createLogger("proxy", { write: (line) => void lines.push(line.replace(/^.*\] /, "")) });
  const complaints = new Complaints(log, () => now);
  for (let n = 0; n < 5; n++) complaints.say("Dial failed", { n });
  complaints.say("Read failed", { n: 5 });
  now = 999;
  complaints.say("Dial failed", { n: 6 });
  now = 1000;
  complaints.say("Dial failed", { n: 7 });
  now = 2500;
  complaints.say("Dial failed", { n: 8 });
  expect(lines).toEqual([
    '"Dial failed" n=0\n',
    '"Read failed" n=5\n',
    '"Dial failed" n=7 leftOut=5\n',
    '"Dial failed" n=8\n',
  ]);
});
