import { describe, expect, it } from "vitest";
import { parsePortRange } from "./portRange.ts";
import { ProxyConfigError, settleConfig } from "./settle.ts";

describe("V06 portRange (part: its forms, those of k8s.io/apimachinery's ParsePortRange)", () => {
  it.each([
    ["8000-8100", { first: 8000, last: 8100 }],
    ["8000+100", { first: 8000, last: 8100 }],
    [" 8000 ", { first: 8000, last: 8000 }],
    ["", undefined],
    ["0-0", undefined],
    ["0", undefined],
  ])("%j", (text, range) => expect(parsePortRange(text)).toEqual(range));

  it.each([
    ["web", "unable to parse port range"],
    ["8000-", "unable to parse port range"],
    ["8100-8000", "end port cannot be less than start port: 8100-8000"],
    ["65000+1000", "the port range cannot be greater than 65535: 65000-66000"],
  ])("refuses %j", (portRange, words) => {
    const settle = () => settleConfig({ portRange });
    expect(settle).toThrow(ProxyConfigError);
    expect(settle).toThrow(`portRange: Invalid value: "${portRange}": ${words}`);
  });
});
