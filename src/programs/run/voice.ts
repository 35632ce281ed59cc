/** How a process that keeps a container speaks to whoever asked for it. */
export interface Voice {
  /** For standard error. */
  say(text: string): void;
  /** The container runs. */
  started(id: string): void;
}

/** What a keeper tells the process that started it. */
export type KeeperMessage =
  | { readonly say: string }
  | { readonly id: string }
  | { readonly failed: { readonly code: number; readonly message: string } };

/** A keeper in the foreground. */
export const ownVoice: Voice = {
  say: (text) => void process.stderr.write(text),
  started: () => undefined,
};

/** A keeper that nobody is attached to. The other side goes once it knows the container's id. */
export const distantVoice: Voice = {
  say: (text) => tell({ say: text }),
  started: (id) => tell({ id }),
};

/** Tells it, if it is still there. */
export function tell(message: KeeperMessage, done: () => void = () => undefined): void {
  if (!process.connected) return done();
  process.send?.(message, undefined, undefined, done);
}
