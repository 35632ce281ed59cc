/** The version in every control frame. */
export const SPDY_VERSION = 3;

/** Types of control frames (SPDY/3.1, 2.6). */
export const CONTROL = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const;

/** Flags of a frame. FIN: the sender sends no more on the stream. */
export const FLAG = { fin: 1, unidirectional: 2, clearSettings: 1 } as const;

/** Why a stream is reset (2.6.3). */
export const RESET = {
  protocolError: 1,
  invalidStream: 2,
  refusedStream: 3,
  unsupportedVersion: 4,
  cancel: 5,
  internalError: 6,
  flowControlError: 7,
  streamInUse: 8,
  streamAlreadyClosed: 9,
  frameTooLarge: 11,
} as const;

/** Why a session ends (2.6.6). */
export const GOAWAY = { ok: 0, protocolError: 1, internalError: 2 } as const;

/** Ids of settings that mean something here (2.6.4). */
export const SETTING = { maxConcurrentStreams: 4, initialWindowSize: 7 } as const;

/** Window of a stream and of a session before anything else was said, in bytes (2.6.8). */
export const INITIAL_WINDOW = 65_536;

/** Stream ids, window sizes and lengths have 31 bits. */
export const MAX_31 = 0x7fffffff;
