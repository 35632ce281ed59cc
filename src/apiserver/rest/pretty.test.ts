import { describe, expect, it } from "vitest";
import { type Call, jsonPieces, jsonReply } from "./call.ts";
import { pretty, wantsPretty } from "./pretty.ts";

const call = (url: string, agent?: string): Pick<Call, "url" | "headers"> => ({
  url,
  headers: { "user-agent": agent },
});

describe("indented JSON", () => {
  it("is for who asks, and for the programs of people", () => {
    expect(["curl/8.5.0", "Wget/1.21", "Mozilla/5.0 (X11)"].map((agent) => wantsPretty(call("/api", agent)))).toEqual([
      true,
      true,
      true,
    ]);
    expect(wantsPretty(call("/api", "kubectl/v1.36.4"))).toBe(false);
    expect(wantsPretty(call("/api?pretty=true", "kubectl/v1.36.4"))).toBe(true);
    expect(wantsPretty(call("/api?a=b&pretty=false", "curl/8.5.0"))).toBe(false);
  });

  it("keeps what is said, in one piece or in many", () => {
    const text = '{\n  "a": 1,\n  "items": [\n    2\n  ]\n}\n';
    expect(pretty(jsonReply({ a: 1, items: [2] })).body).toBe(text);
    const reply = pretty(jsonPieces('{"a":1,"items":[', ["2"], "]}"));
    expect(reply.body).toBe(text);
    expect(reply.pieces).toBeUndefined();
  });
});
