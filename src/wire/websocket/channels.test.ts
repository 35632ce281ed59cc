import { describe, expect, it } from "vitest";
import {
  CHANNEL,
  chooseProtocol,
  decodeClientMessage,
  encodeChannel,
  PORT_FORWARD_PROTOCOLS,
  REMOTE_COMMAND_PROTOCOLS,
  statusOfCommand,
} from "./index.ts";

function protocol(name: string) {
  const found = REMOTE_COMMAND_PROTOCOLS.find((p) => p.name === name);
  if (!found) throw new Error(`no ${name}`);
  return found;
}
const v5 = protocol("v5.channel.k8s.io");
const base64 = protocol("v4.base64.channel.k8s.io");
const old = protocol("channel.k8s.io");

describe("remote command channels", () => {
  it("name the stream in the first byte", () => {
    expect(encodeChannel(CHANNEL.stdout, Buffer.from("x"), v5)).toEqual(Buffer.from("\u0001x"));
    expect(decodeClientMessage(Buffer.from("\0input"), v5)).toEqual({ kind: "stdin", data: Buffer.from("input") });
    expect(decodeClientMessage(Buffer.of(255, 0), v5)).toEqual({ kind: "close", channel: 0 });
  });

  it("in base64 name it by a digit", () => {
    expect(encodeChannel(CHANNEL.stdout, Buffer.from("x"), base64).toString()).toBe("1eA==");
    expect(decodeClientMessage(Buffer.from("0aW5wdXQ="), base64)).toEqual({
      kind: "stdin",
      data: Buffer.from("input"),
    });
  });

  it("read a terminal's size", () => {
    const sized = (text: string) => decodeClientMessage(encodeChannel(CHANNEL.resize, Buffer.from(text), v5), v5);
    expect(sized('{"Width":80,"Height":24}')).toEqual({ kind: "resize", columns: 80, rows: 24 });
    for (const text of ["", "{}", '{"Width":-1,"Height":2}', "null", '{"Width":"8","Height":2}'])
      expect(sized(text)).toBeUndefined();
  });

  it("ignore what means nothing", () => {
    for (const message of [Buffer.alloc(0), Buffer.of(1, 2), Buffer.of(255), Buffer.of(9)])
      expect(decodeClientMessage(message, v5)).toBeUndefined();
  });

  it("tell how a command ended", () => {
    expect(JSON.parse(statusOfCommand({ exitCode: 0 }, v5))).toEqual({ metadata: {}, status: "Success" });
    expect(JSON.parse(statusOfCommand({ exitCode: 3 }, v5))).toMatchObject({
      reason: "NonZeroExitCode",
      details: { causes: [{ reason: "ExitCode", message: "3" }] },
    });
    expect(JSON.parse(statusOfCommand({ error: "no" }, v5))).toMatchObject({
      status: "Failure",
      message: "Internal error occurred: no",
      details: { causes: [{ message: "no" }] },
      code: 500,
    });
    expect(statusOfCommand({ exitCode: 0 }, old)).toBe("");
    expect(statusOfCommand({ exitCode: 3 }, old)).toBe("command terminated with non-zero exit code: exit status 3");
  });

  it("are agreed on: the best that both know, the first one for clients that name none", () => {
    const names = ["channel.k8s.io", "v4.channel.k8s.io", "v9.channel.k8s.io"];
    expect(chooseProtocol(REMOTE_COMMAND_PROTOCOLS, names)?.name).toBe("v4.channel.k8s.io");
    expect(chooseProtocol(REMOTE_COMMAND_PROTOCOLS, [])).toEqual({ name: "", base64: false, jsonStatus: false });
    expect(chooseProtocol(REMOTE_COMMAND_PROTOCOLS, ["v9.channel.k8s.io"])).toBeUndefined();
    expect(chooseProtocol(PORT_FORWARD_PROTOCOLS, ["v5.channel.k8s.io", "v4.channel.k8s.io"])?.name).toBe(
      "v4.channel.k8s.io",
    );
  });
});
