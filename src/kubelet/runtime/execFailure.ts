/** The failure of an exec as a node with containerd and runc tells it. @param id 64 hexadecimal digits, of the exec */
export function startFailure(id: string, fault: string): string {
  return `failed to exec in container: failed to start exec ${JSON.stringify(id)}: OCI runtime exec failed: exec failed: unable to start container process: ${fault}: unknown`;
}
