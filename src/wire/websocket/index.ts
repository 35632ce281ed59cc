/** Kubernetes' subprotocols over WebSocket. */
export {
  CHANNEL,
  type ClientMessage,
  type CommandEnd,
  decodeClientMessage,
  encodeChannel,
  REMOTE_COMMAND_PROTOCOLS,
  statusOfCommand,
} from "./channels.ts";
