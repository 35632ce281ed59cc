/**
 * Arguments of nsenter(1) to enter all namespaces of a process, before the command.
 * @param user uid of the caller when the process lives in a user namespace of that user's: root becomes its root by
 *   setuid, anyone else is its root already
 */
export function nsenterArguments(pid: number, user?: number): string[] {
  const namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"];
  if (user !== undefined)
    namespaces.push("--user", ...(user === 0 ? ["--setuid", "0", "--setgid", "0"] : ["--preserve-credentials"]));
  return ["--target", String(pid), ...namespaces, "--"];
}
