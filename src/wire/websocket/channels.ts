/**
 * Streams of a container over one WebSocket: the first byte of each message names the stream.
 * Source: Kubernetes' remotecommand subprotocols channel.k8s.io to v5.channel.k8s.io (KEP-4006) and their base64 forms.
 */

/** Numbers of the streams. */
export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 } as const;

/** How a subprotocol differs from the others. */
export interface ChannelProtocol {
  /** As in Sec-WebSocket-Protocol; empty when the client named none. */
  readonly name: string;
  /** Text messages: a digit for the stream, its data in base64. */
  readonly base64: boolean;
  /** From version 4 on the end is told as a Status in JSON; before, an error as text and success by nothing. */
  readonly jsonStatus: boolean;
}

/** Subprotocols of exec and attach, best first. Version 5 adds the message that closes one stream. */
export const REMOTE_COMMAND_PROTOCOLS: readonly ChannelProtocol[] = [
  { name: "v5.channel.k8s.io", base64: false, jsonStatus: true },
  { name: "v4.channel.k8s.io", base64: false, jsonStatus: true },
  { name: "v4.base64.channel.k8s.io", base64: true, jsonStatus: true },
  { name: "channel.k8s.io", base64: false, jsonStatus: false },
  { name: "base64.channel.k8s.io", base64: true, jsonStatus: false },
  { name: "", base64: false, jsonStatus: false },
];

/** Subprotocols of port-forward with `?ports=`: two channels for each port, data and errors. */
export const PORT_FORWARD_PROTOCOLS: readonly ChannelProtocol[] = REMOTE_COMMAND_PROTOCOLS.slice(1).filter(
  ({ name }) => name === "" || name.startsWith("v4."),
);

/** The subprotocol that both know; the unnamed one for a client that names none. @returns undefined for none */
export function chooseProtocol(
  known: readonly ChannelProtocol[],
  offered: readonly string[],
): ChannelProtocol | undefined {
  if (offered.length === 0) return known.find(({ name }) => name === "");
  return known.find(({ name }) => name !== "" && offered.includes(name));
}

/** A message from the client. */
export type ClientMessage =
  | { readonly kind: "stdin"; readonly data: Buffer }
  | { readonly kind: "resize"; readonly columns: number; readonly rows: number }
  /** The client will send no more on that stream. */
  | { readonly kind: "close"; readonly channel: number };

const DIGIT_0 = 0x30;

/** Puts a stream's number before its data. */
export function encodeChannel(channel: number, data: Uint8Array, { base64 }: Pick<ChannelProtocol, "base64">): Buffer {
  if (!base64) return Buffer.concat([Buffer.of(channel), data]);
  return Buffer.from(`${channel}${Buffer.from(data).toString("base64")}`);
}

/** Takes a message apart. @returns undefined for an empty one */
export function decodeChannel(
  message: Buffer,
  { base64 }: Pick<ChannelProtocol, "base64">,
): { readonly channel: number; readonly data: Buffer } | undefined {
  const [first] = message;
  if (first === undefined) return undefined;
  if (!base64) return { channel: first, data: message.subarray(1) };
  return { channel: first - DIGIT_0, data: Buffer.from(message.subarray(1).toString("latin1"), "base64") };
}

/**
 * Reads a client's message of exec or attach.
 * @returns undefined for one that means nothing here: empty, an unknown stream, a size that is no size
 */
export function decodeClientMessage(message: Buffer, protocol: ChannelProtocol): ClientMessage | undefined {
  const { channel, data } = decodeChannel(message, protocol) ?? { channel: -1, data: Buffer.alloc(0) };
  if (channel === CHANNEL.stdin) return { kind: "stdin", data };
  if (channel === CHANNEL.resize) return decodeResize(data.toString());
  const closed = data[0];
  return channel === CHANNEL.close && closed !== undefined ? { kind: "close", channel: closed } : undefined;
}

/** A terminal's size is JSON: `{"Width":80,"Height":24}`. @returns undefined when it is none */
export function decodeResize(text: string): (ClientMessage & { kind: "resize" }) | undefined {
  try {
    const { Width, Height } = JSON.parse(text) as { Width?: unknown; Height?: unknown };
    const valid = (n: unknown): n is number => Number.isInteger(n) && (n as number) >= 0 && (n as number) <= 65535;
    return valid(Width) && valid(Height) ? { kind: "resize", columns: Width, rows: Height } : undefined;
  } catch {
    return undefined;
  }
}

/** How a command ended, as the status stream says it. */
export type CommandEnd = { readonly exitCode: number } | { readonly error: string };

/**
 * What goes over the status stream: a meta/v1 Status, out of whose causes clients take the exit code; in old versions
 * the error's text alone, nothing for success.
 */
export function statusOfCommand(end: CommandEnd, { jsonStatus }: Pick<ChannelProtocol, "jsonStatus">): string {
  const status = statusObject(end);
  if (jsonStatus) return JSON.stringify(status);
  return "message" in status ? status.message : "";
}

function statusObject(end: CommandEnd) {
  if ("error" in end) {
    const message = `Internal error occurred: ${end.error}`;
    const details = { causes: [{ message: end.error }] };
    return { metadata: {}, status: "Failure", message, reason: "InternalError", details, code: 500 };
  }
  if (end.exitCode === 0) return { metadata: {}, status: "Success" };
  return {
    metadata: {},
    status: "Failure",
    message: `command terminated with non-zero exit code: exit status ${end.exitCode}`,
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: String(end.exitCode) }] },
  };
}
