import { describe, expect, it } from "vitest";
import { type DnsQuestion, explainLookup } from "./answer.ts";
import type { AskServer, ServerAnswer } from "./index.ts";
import { parseHostSources } from "./nsswitch.ts";
import { parseResolverSettings } from "./resolvConf.ts";

describe("D03 nsswitch.conf (part: hosts)", () => {
  it.each([
    ["", ["files+", "dns+"]],
    ["passwd: files\nhosts:  dns   files # so\n", ["dns+", "files+"]],
    ["hosts: files mdns4_minimal [NOTFOUND=return] dns", ["files+", "mdns4_minimal-", "dns+"]],
    ["hosts: files resolve [!UNAVAIL=return] dns", ["files+", "resolve-", "dns+"]],
    ["hosts: files [SUCCESS=continue] dns[NOTFOUND=return]", ["files+", "dns-"]],
  ])("%j", (text, expected) => {
    expect(parseHostSources(text).map((one) => `${one.name}${one.goesOnAfterNotFound ? "+" : "-"}`)).toEqual(expected);
  });
});

describe("D02 resolv.conf (part: limits and defaults)", () => {
  it("defaults are those of resolv.conf(5)", () => {
    expect(parseResolverSettings("", "glibc")).toEqual({
      nameservers: ["127.0.0.1"],
      search: [],
      ndots: 1,
      timeoutSeconds: 5,
      attempts: 2,
      rotate: false,
      options: [],
      ignored: [],
    });
  });

  it("the last search or domain line counts; values have their largest", () => {
    const text =
      "domain a.test\nsearch b.test. c.test # no\noptions ndots:99 timeout:100 attempts:9 rotate\n; nameserver 1.1.1.1\n";
    expect(parseResolverSettings(text, "glibc")).toMatchObject({
      search: ["b.test", "c.test"],
      ndots: 15,
      timeoutSeconds: 30,
      attempts: 5,
      rotate: true,
      nameservers: ["127.0.0.1"],
    });
    expect(parseResolverSettings(text, "musl")).toMatchObject({
      timeoutSeconds: 60,
      attempts: 9,
      rotate: false,
      ignored: ["rotate: musl asks all servers at once"],
    });
  });

  it("what has no effect is said", () => {
    const four = [1, 2, 3, 4].map((n) => `nameserver 192.0.2.${n}\n`).join("");
    expect(parseResolverSettings(four, "glibc")).toMatchObject({
      nameservers: ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
      ignored: ["nameserver 192.0.2.4: glibc asks the first three"],
    });
    const long = `search ${Array.from({ length: 20 }, (_, i) => `domain-${i}.example`).join(" ")}\n`;
    expect(parseResolverSettings(long, "glibc").search).toHaveLength(20);
    expect(parseResolverSettings(long, "musl")).toMatchObject({
      search: [],
      ignored: [expect.stringContaining("255")],
    });
  });

  it("servers that do not answer cost their time-outs", async () => {
    const silent: AskServer = async () => ({ outcome: "silent", records: [] }) satisfies ServerAnswer;
    const question = { name: "www.example.com", from: "x", hosts: "" };
    const resolvConf = "nameserver 192.0.2.1\nnameserver 192.0.2.2\noptions timeout:3 attempts:2\n";
    const answer = await explainLookup({ ...question, tool: "glibc", resolvConf }, silent);
    expect(answer.cost).toMatchObject({ queries: 8, waitSeconds: 12 });
    expect(answer.lookup?.end).toBe("later");
  });

  it.each<[DnsQuestion["tool"], string, number]>([
    // glibc: the doubled time of each server by its place, shared by all (send_dg): 5 + 10/3 + 20/3, twice.
    ["glibc", "", 28],
    ["glibc", "options timeout:1 attempts:1\n", 3],
    // Over TCP it takes as long as the kernel tries to connect.
    ["glibc", "options use-vc\n", 3 * 127],
    // musl: one time-out for all servers and attempts.
    ["musl", "", 5],
    ["musl", "options timeout:3 attempts:4\n", 3],
    // BIND's: all tries at the first server, one at each of the others.
    ["nslookup", "", (3 + 1 + 1) * 5],
    ["dig", "options timeout:2 attempts:4\n", (4 + 1 + 1) * 2],
    ["host", "options attempts:4\n", (2 + 1 + 1) * 5],
  ])("three silent servers make %s wait, with %j", async (tool, options, seconds) => {
    const silent: AskServer = async () => ({ outcome: "silent", records: [] });
    const resolvConf = `${[1, 2, 3].map((n) => `nameserver 192.0.2.${n}\n`).join("")}${options}`;
    const answer = await explainLookup({ name: "www.example.com.", tool, from: "x", resolvConf, hosts: "" }, silent);
    expect(answer.cost.waitSeconds).toBe(seconds);
  });

  it("options that have no effect are said, and misspelt ones", () => {
    const text = "options rotate use-vc ndot:3 edns0 attempts:4\n";
    expect(parseResolverSettings(text, "glibc")).toMatchObject({
      options: ["rotate", "use-vc"],
      attempts: 4,
      ignored: ["ndot: no option that resolv.conf(5) has"],
    });
    expect(parseResolverSettings(text, "host").ignored).toEqual([
      "ndot: no option that resolv.conf(5) has",
      "rotate: host begins with the first server",
      "use-vc: host does not know it",
      "attempts: host asks a silent server twice",
    ]);
  });

  it("nslookup's own rule is told apart: the next server after SERVFAIL, unless it is to fail", async () => {
    const broken: AskServer = async (server) =>
      server === "192.0.2.1"
        ? { outcome: "servfail", records: [] }
        : { outcome: "records", records: ["192.0.2.9"], ttl: 1 };
    const resolvConf = "nameserver 192.0.2.1\nnameserver 192.0.2.2\n";
    const look = (tool: DnsQuestion["tool"], fail?: boolean) =>
      explainLookup(
        { name: "a.b.", tool, from: "x", resolvConf, hosts: "", ...(fail !== undefined && { fail }) },
        broken,
      );
    const rule = async (tool: DnsQuestion["tool"], fail?: boolean) => {
      const { resolver, lookup } = await look(tool, fail);
      return [resolver.rule, lookup?.end, lookup?.server];
    };
    expect(await rule("nslookup")).toEqual([
      "the next server after SERVFAIL (nofail; nslookup -fail ends there) or the time-out; REFUSED ends it",
      "found",
      "192.0.2.2",
    ]);
    expect(await rule("nslookup", true)).toEqual([
      "the next server after the time-out; SERVFAIL (fail; nofail is its default) and REFUSED end it",
      "later",
      undefined,
    ]);
    expect((await rule("dig")).slice(1)).toEqual(["later", undefined]);
    expect((await rule("dig", false)).slice(1)).toEqual(["found", "192.0.2.2"]);
    expect(await rule("glibc")).toEqual([
      "the next server after SERVFAIL, REFUSED or the time-out; then all again, as often as attempts says",
      "found",
      "192.0.2.2",
    ]);
  });
});
