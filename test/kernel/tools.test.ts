import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const tools = join(process.env["PODWIRE_TOOLS"] ?? "", "root/usr");

/** How each tool says its version; every one ends with 0. */
const tries = [
  ...["nft --version", "iptables --version", "ip6tables-save -V", "ip -V", "bridge -V", "tc -V", "ss -V"],
  ...["dig -v", "nslookup -version", "host -V", "ping -V", "curl -V", "tcpdump --version", "socat -V", "nc -h"],
  ...["nginx -v", "tini --version", "arp -V", "netstat -V", "ps -V", "less -V"],
];

/** What a machine sees: the tools' /usr over the host's, in namespaces that end with the command. */
function onMachine(command: string): string {
  const script = `mount -t overlay overlay -o lowerdir=${tools}:/usr /usr && ${command}`;
  return execFileSync("unshare", ["-Urm", "sh", "-c", script], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

describe.skipIf(!existsSync(tools))("the machines' tools", () => {
  test.each(tries)("%s runs where they are laid over /usr", (command) => {
    expect(() => onMachine(command)).not.toThrow();
  });
});
