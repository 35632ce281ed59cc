/** SPDY/3.1: frames, and sessions over a connection. */
export { CONTROL, GOAWAY, INITIAL_WINDOW, RESET, SETTING } from "./constants.ts";
export { FrameDecoder } from "./decode.ts";
export { FrameEncoder } from "./encode.ts";
export { SpdyError } from "./errors.ts";
export type { SpdyFrame, SpdySetting } from "./frames.ts";
export type { SpdyHeaders } from "./headers.ts";
export { SpdySession, type SpdySessionOptions } from "./session.ts";
export { SpdyStream } from "./stream.ts";
