/** Kubernetes' subprotocols over WebSocket. */
export {
  CHANNEL,
  type ChannelProtocol,
  type ClientMessage,
  type CommandEnd,
  chooseProtocol,
  decodeChannel,
  decodeClientMessage,
  decodeResize,
  encodeChannel,
  PORT_FORWARD_PROTOCOLS,
  REMOTE_COMMAND_PROTOCOLS,
  statusOfCommand,
} from "./channels.ts";
