import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { version } from "#base/version.ts";
import { FlagError, parseDnsFlags } from "./flags.ts";

describe("D06 podwire dns (part: flags)", () => {
  it("reads CoreDNS' flags in Go's forms; ./Corefile and port 53 by default", () => {
    expect(parseDnsFlags([])).toEqual({ corefile: "Corefile", port: 53, quiet: false });
    expect(parseDnsFlags(["-conf", "/etc/coredns/Corefile"])).toMatchObject({ corefile: "/etc/coredns/Corefile" });
    expect(parseDnsFlags(["--conf=a", "--dns.port=1053", "-quiet"])).toEqual({
      corefile: "a",
      port: 1053,
      quiet: true,
    });
    expect(parseDnsFlags(["-p", "5353"])).toMatchObject({ port: 5353 });
    expect(JSON.parse(readFileSync("package.json", "utf8"))).toMatchObject({ version });
    expect(parseDnsFlags(["-plugins"]).show).toBe("plugins");
  });
  it.each([[["-conf"]], [["-dns.port", "99999"]], [["-nope"]], [["Corefile"]]])("refuses %j", (argv) => {
    expect(() => parseDnsFlags(argv)).toThrow(FlagError);
  });
});
