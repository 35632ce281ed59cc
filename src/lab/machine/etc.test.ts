import { describe, expect, it } from "vitest";
import { systemAccounts, withToolAccounts } from "./etc.ts";

const PASSWD = [
  "root:x:0:0:root:/root:/bin/bash",
  "someone:x:1000:1000::/home/someone:/bin/bash",
  "lp:x:999:7::/:/usr/sbin/nologin",
  "nobody:x:65534:65534::/:/usr/sbin/nologin",
  "",
].join("\n");

describe("accounts of a machine", () => {
  it("are those of the system", () => {
    expect(systemAccounts(PASSWD)).not.toContain("someone");
    expect(systemAccounts(PASSWD).split("\n")).toHaveLength(4);
  });

  it("have those of the tools under a free id, unless they are there", () => {
    const text = withToolAccounts(PASSWD, "ID::/nonexistent:/usr/sbin/nologin");
    expect(text).toBe(`${PASSWD}tcpdump:x:998:998::/nonexistent:/usr/sbin/nologin\n`);
    expect(withToolAccounts(text, "")).toBe(text);
    expect(withToolAccounts("root:x:0:\n", "")).toBe("root:x:0:\ntcpdump:x:999:\n");
  });
});
