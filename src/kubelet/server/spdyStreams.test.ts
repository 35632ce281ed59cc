import { duplexPair } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { SpdySession, type SpdyStream } from "#wire/spdy/index.ts";
import { type ExpectedStreams, SpdyStreams } from "./spdyStreams.ts";

const all: ExpectedStreams = { stdin: true, stdout: true, stderr: true, tty: false };

/** A client of exec over SPDY, as client-go's executors of the protocol's versions, and the server's side of it. */
function joined(protocol: string, expected: ExpectedStreams) {
  const [a, b] = duplexPair();
  let streams: SpdyStreams | undefined;
  const session = new SpdySession(b, { side: "server", onStream: (stream) => streams?.add(stream) });
  streams = new SpdyStreams(session, protocol, expected);
  const client = new SpdySession(a, { side: "client" });
  const open = (streamtype: string): SpdyStream => client.open({ streamtype });
  return { streams, client, open };
}

/** What the client did, as it was told. */
function recorder(streams: SpdyStreams) {
  const seen: string[] = [];
  streams.listen({
    onStdin: (data) => {
      seen.push(data.toString());
      return true;
    },
    onStdinEnd: () => seen.push("end"),
    onResize: (columns, rows) => seen.push(`${columns}x${rows}`),
    onGone: () => seen.push("gone"),
  });
  return seen;
}

const turns = async () => {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe("U02 exec and attach over SPDY (part: streams of a client)", () => {
  it("v4: input and its end, outputs, a Status", async () => {
    const { streams, open, client } = joined("v4.channel.k8s.io", all);
    const [error, stdin, stdout, stderr] = ["error", "stdin", "stdout", "stderr"].map(open) as SpdyStream[];
    await streams.complete(1000);
    stdin?.end("typed");
    await turns();
    expect(recorder(streams)).toEqual(["typed", "end"]);
    streams.send("stdout", Buffer.from("out"), () => {});
    streams.send("stderr", Buffer.from("err"), () => {});
    streams.end({ exitCode: 3 });
    expect(await Promise.all([text(stdout as SpdyStream), text(stderr as SpdyStream)])).toEqual(["out", "err"]);
    expect(JSON.parse(await text(error as SpdyStream))).toMatchObject({
      reason: "NonZeroExitCode",
      details: { causes: [{ reason: "ExitCode", message: "3" }] },
    });
    for (const stream of [error, stdout, stderr]) stream?.end();
    await client.closed;
  });

  it("v1 to v3: an error as text, success by nothing", async () => {
    for (const [end, wanted] of [
      [{ exitCode: 0 }, ""],
      [{ exitCode: 3 }, "command terminated with non-zero exit code: exit status 3"],
      [{ error: "no such thing" }, "Internal error occurred: no such thing"],
    ] as const) {
      const { streams, open } = joined("v2.channel.k8s.io", { ...all, stdin: false, stderr: false });
      const [error] = [open("error"), open("stdout")];
      await streams.complete(1000);
      streams.end(end);
      expect(await text(error)).toBe(wanted);
    }
  });

  it("a terminal has no stderr; its sizes come as JSON, cut anywhere, from version 3 on", async () => {
    const { streams, open } = joined("v3.channel.k8s.io", { ...all, tty: true });
    const [, , , resize] = ["error", "stdin", "stdout", "resize"].map(open);
    await streams.complete(1000);
    const seen = recorder(streams);
    for (const piece of ['{"Width":80,"He', 'ight":24}\n{"Width":100,"Height":30}', "\n{bad}\n"]) {
      resize?.write(piece);
      await turns();
    }
    expect(seen).toEqual(["80x24", "100x30"]);
    const old = joined("v2.channel.k8s.io", { ...all, tty: true });
    for (const type of ["error", "stdin", "stdout"]) old.open(type);
    await old.streams.complete(1000);
  });

  it("refuses what was not asked for; does not wait for ever; tells of a client that goes", async () => {
    const { streams, open, client } = joined("v4.channel.k8s.io", { ...all, stdin: false });
    const stranger = open("stdin");
    await new Promise((resolve) => stranger.once("close", resolve));
    await expect(streams.complete(10)).rejects.toThrow("timed out waiting for client to create streams");
    const seen = recorder(streams);
    client.destroy();
    await turns();
    expect(seen).toEqual(["gone"]);
  });

  it("makes a command wait for a client that does not read", async () => {
    const { streams, open } = joined("v4.channel.k8s.io", { ...all, stdin: false, stderr: false });
    const [, stdout] = [open("error"), open("stdout")] as [SpdyStream, SpdyStream];
    await streams.complete(1000);
    const chunk = Buffer.alloc(1 << 20);
    const resumed = Promise.withResolvers<void>();
    let sent = 0;
    while (streams.send("stdout", chunk, resumed.resolve)) if (++sent > 20) break;
    expect(sent).toBeLessThan(20);
    stdout.resume();
    await resumed.promise;
  });
});
