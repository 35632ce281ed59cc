import { describe, expect, it } from "vitest";
import { inPieces } from "./pieces.ts";

const text = `*nat
:KUBE-OLD - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-A - [0:0]
:KUBE-SEP-1 - [0:0]
-I PREROUTING -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-SVC-A
-A KUBE-SVC-A -m comment --comment "a -> b" -j KUBE-SEP-1
-A KUBE-SEP-1 -j DNAT --to-destination 10.244.0.2:80
-X KUBE-OLD
COMMIT
`;

describe("V04 a text for iptables-restore in several transactions", () => {
  it("chains come before those that lead to them; what leads in from outside, and what goes, come last", () => {
    expect(inPieces(text, 2)).toBe(
      [
        "*nat\n:KUBE-SEP-1 - [0:0]\n-A KUBE-SEP-1 -j DNAT --to-destination 10.244.0.2:80\nCOMMIT\n",
        '*nat\n:KUBE-SVC-A - [0:0]\n-A KUBE-SVC-A -m comment --comment "a -> b" -j KUBE-SEP-1\nCOMMIT\n',
        "*nat\n:KUBE-SERVICES - [0:0]\n-A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-SVC-A\nCOMMIT\n",
        "*nat\n:KUBE-OLD - [0:0]\n-I PREROUTING -j KUBE-SERVICES\nCOMMIT\n",
        "*nat\n-X KUBE-OLD\nCOMMIT\n",
      ].join(""),
    );
  });

  it("a chain that is too long for one is made in several", () => {
    const long = `*filter\n:C - [0:0]\n${"-A C -j ACCEPT\n".repeat(5)}COMMIT\n`;
    const pieces = inPieces(long, 3).split("COMMIT\n").slice(0, -1);
    expect(pieces.map((piece) => piece.trim().split("\n").length)).toEqual([4, 4]);
    expect(pieces.join("").match(/-A C/g)).toHaveLength(5);
    expect(pieces[1]).not.toContain(":C");
  });

  it("everything in one, where it fits", () => {
    expect(inPieces(text, 100).match(/COMMIT/g)).toHaveLength(1);
  });
});
