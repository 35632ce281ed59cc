/**
 * Streams of a container over one WebSocket: the first byte of each binary message names the stream.
 * Source: Kubernetes' remotecommand subprotocols v4.channel.k8s.io and v5.channel.k8s.io (KEP-4006).
 */

/** Numbers of the streams. */
export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 } as const;

/** Subprotocols understood here, best first. Version 5 adds the message that closes one stream. */
export const REMOTE_COMMAND_PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"] as const;

/** A message from the client. */
export type ClientMessage =
  | { readonly kind: "stdin"; readonly data: Buffer }
  | { readonly kind: "resize"; readonly columns: number; readonly rows: number }
  /** The client will send no more on that stream. */
  | { readonly kind: "close"; readonly channel: number };

/** Puts a stream's number before its data. */
export function encodeChannel(channel: number, data: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(channel), data]);
}

/**
 * Reads a client's message.
 * @returns undefined for one that means nothing here: empty, an unknown stream, a size that is no size
 */
export function decodeClientMessage(message: Buffer): ClientMessage | undefined {
  const channel = message[0];
  const data = message.subarray(1);
  if (channel === CHANNEL.stdin) return { kind: "stdin", data };
  if (channel === CHANNEL.resize) return decodeResize(data);
  const closed = data[0];
  return channel === CHANNEL.close && closed !== undefined ? { kind: "close", channel: closed } : undefined;
}

/** A terminal's size is JSON: `{"Width":80,"Height":24}`. */
function decodeResize(data: Buffer): ClientMessage | undefined {
  try {
    const { Width, Height } = JSON.parse(data.toString()) as { Width?: unknown; Height?: unknown };
    const valid = (n: unknown): n is number => Number.isInteger(n) && (n as number) >= 0 && (n as number) <= 65535;
    return valid(Width) && valid(Height) ? { kind: "resize", columns: Width, rows: Height } : undefined;
  } catch {
    return undefined;
  }
}

/** How a command ended, as the status stream says it. */
export type CommandEnd = { readonly exitCode: number } | { readonly error: string };

/** The meta/v1 Status on the status stream; clients take the exit code out of its causes. */
export function statusOfCommand(end: CommandEnd): string {
  if ("error" in end) {
    return JSON.stringify({ metadata: {}, status: "Failure", message: end.error, reason: "InternalError", code: 500 });
  }
  if (end.exitCode === 0) return JSON.stringify({ metadata: {}, status: "Success" });
  return JSON.stringify({
    metadata: {},
    status: "Failure",
    message: `command terminated with non-zero exit code: exit status ${end.exitCode}`,
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: String(end.exitCode) }] },
  });
}
