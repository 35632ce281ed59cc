/** /etc/hosts of a container as Docker writes it (libnetwork, etchosts). */
export function hostsFile(address: string | undefined, hostname: string): string {
  const lines = [
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::\tip6-localnet",
    "ff00::\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
    ...(address === undefined ? [] : [`${address}\t${hostname}`]),
  ];
  return `${lines.join("\n")}\n`;
}
