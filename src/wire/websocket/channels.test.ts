import { describe, expect, it } from "vitest";
import { CHANNEL, decodeClientMessage, encodeChannel, statusOfCommand } from "./index.ts";

describe("remote command channels", () => {
  it("name the stream in the first byte", () => {
    expect(encodeChannel(CHANNEL.stdout, Buffer.from("x"))).toEqual(Buffer.from("\u0001x"));
    expect(decodeClientMessage(Buffer.from("\0input"))).toEqual({ kind: "stdin", data: Buffer.from("input") });
    expect(decodeClientMessage(Buffer.of(255, 0))).toEqual({ kind: "close", channel: 0 });
  });

  it("read a terminal's size", () => {
    const sized = (text: string) => decodeClientMessage(encodeChannel(CHANNEL.resize, Buffer.from(text)));
    expect(sized('{"Width":80,"Height":24}')).toEqual({ kind: "resize", columns: 80, rows: 24 });
    for (const text of ["", "{}", '{"Width":-1,"Height":2}', "null", '{"Width":"8","Height":2}'])
      expect(sized(text)).toBeUndefined();
  });

  it("ignore what means nothing", () => {
    for (const message of [Buffer.alloc(0), Buffer.of(1, 2), Buffer.of(255), Buffer.of(9)])
      expect(decodeClientMessage(message)).toBeUndefined();
  });

  it("tell how a command ended", () => {
    expect(JSON.parse(statusOfCommand({ exitCode: 0 }))).toEqual({ metadata: {}, status: "Success" });
    expect(JSON.parse(statusOfCommand({ exitCode: 3 }))).toMatchObject({
      reason: "NonZeroExitCode",
      details: { causes: [{ reason: "ExitCode", message: "3" }] },
    });
    expect(JSON.parse(statusOfCommand({ error: "no" }))).toMatchObject({ status: "Failure", message: "no" });
  });
});
