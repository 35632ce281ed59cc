/**
 * Arguments of nsenter(1) to enter all namespaces of a process, before the command.
 * @param cgroup whether that process has a namespace of control groups that the caller may enter
 * @param user uid of the caller when the process lives in a user namespace of that user's: root becomes its root by
 *   setuid, anyone else is its root already
 */
function nsenterArguments(pid: number, cgroup: boolean, user?: number): [string, ...string[]] {
  const namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", ...(cgroup ? ["--cgroup"] : [])];
  if (user !== undefined)
    namespaces.push("--user", ...(user === 0 ? ["--setuid", "0", "--setgid", "0"] : ["--preserve-credentials"]));
  return ["nsenter", "--target", String(pid), ...namespaces, "--"];
}

/**
 * What runs a command on a machine, before the command itself. It may do there what root may, except reboot(2), which
 * would end the machine and the lab with it.
 * @param lab pid of the lab's init as the host sees it
 * @param machine pid of the machine's init as the lab sees it
 * @param user uid of the caller
 */
export function machineCommand(lab: number, machine: number, user: number): [string, ...string[]] {
  // The lab of an ordinary user has none of its own (lab/stage, Bounds).
  const cgroup = user === 0;
  return [
    ...nsenterArguments(lab, cgroup, user),
    ...nsenterArguments(machine, cgroup),
    "setpriv",
    "--inh-caps=-sys_boot",
    "--bounding-set=-sys_boot",
    "--",
  ];
}
