/** One request to the API server. */
export interface ApiRequest {
  readonly method: string;
  /** Path with the query string. */
  readonly path: string;
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Aborting rejects the request or ends its body with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** An answer whose head has arrived. The body must be read to its end or left by `return()`. */
export interface ApiResponse {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array>;
  /**
   * The events of a watch as they are, instead of `body`, where client and server share a process. The objects are the
   * server's own: they must never be changed.
   */
  readonly events?: AsyncIterable<{ readonly type: string; readonly object: object }>;
}

/** A way to the API server: TLS from another process, or function calls inside the API server's own. */
export interface Transport {
  request(request: ApiRequest): Promise<ApiResponse>;
  /** Ends the connections; running requests fail. */
  close(): Promise<void>;
}
