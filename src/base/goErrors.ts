/** Go's words for errors of connections (syscall.Errno.Error), which Kubernetes' messages end in. */
const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by peer",
  EPIPE: "broken pipe",
  ENETUNREACH: "network is unreachable",
  EHOSTUNREACH: "no route to host",
  EADDRNOTAVAIL: "cannot assign requested address",
  ETIMEDOUT: "connection timed out",
  EACCES: "permission denied",
  ENOENT: "no such file or directory",
};

/** An error of a system call as Go prints it, without what it was about; other errors by their message. */
export function goErrno(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  const words = typeof code === "string" ? WORDS[code] : undefined;
  return words ?? (error instanceof Error ? error.message : String(error));
}
