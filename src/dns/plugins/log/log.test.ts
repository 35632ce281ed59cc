import { describe, expect, it } from "vitest";
import { edns, refusal, testBlock } from "../../plugins/testBlock.ts";
import { eventually, testServers } from "../../testing.ts";

const { start, upstream } = testServers();

describe("metadata and log", () => {
  it("what plugins know stands in log lines and templates", async () => {
    const source = await upstream((asked) => ({ ...asked, response: true }));
    const { ask, lines } = await start(
      `.:0 {\n metadata\n log . "{name} {/forward/upstream} {/no/such}"\n forward . 127.0.0.1:${source.port}\n}`,
    );
    await ask("a.example A");
    await eventually(() => lines.join("").includes(`[INFO] a.example. 127.0.0.1:${source.port} -\n`));
  });
});

describe("log", () => {
  it.each([
    ["log", ["ok.test.", "no.test.", "bad.test."]],
    ["log no.test", ["no.test."]],
    ["log {\n class success\n class error\n }", ["ok.test.", "bad.test."]],
    ["log {\n class denial\n }", ["no.test."]],
    ["log {\n class denial\n minDuration 0\n }", ["ok.test.", "no.test.", "bad.test."]],
  ])("%s", async (directive, expected) => {
    const { ask, lines } = await testBlock(`. {
 ${directive}
 template IN A ok.test {
  answer "{{ .Name }} 60 IN A 192.0.2.1"
 }
 template IN A no.test {
  rcode NXDOMAIN
 }
 template IN A bad.test {
  rcode SERVFAIL
 }
}`);
    for (const name of ["ok.test.", "no.test.", "bad.test."]) await ask(`${name} A`);
    expect(lines.map((line) => / IN (\S+) udp /.exec(line)?.[1])).toEqual(expected);
  });

  it("the common and the combined format", async () => {
    const { ask, lines } = await testBlock('. {\n log . "{combined} {local} {unknown}"\n whoami\n}');
    await ask("a. A", { edns: edns(1232) });
    expect(lines[0]).toMatch(
      /^\[INFO\] 192\.0\.2\.9:4000 - 7 "A IN a\. udp 30 false 1232" NOERROR qr,aa,rd \d+ 0\.000000000s "0" - -\n$/,
    );
    expect(await refusal(". {\n log {\n  class some\n }\n}")).toContain("Corefile:3: invalid Class: some");
  });
});
