import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type Cidr, cidrNth, formatCidr, formatIp } from "#base/ip.ts";

/** flannel's file for the CNI plugin `flannel`: networks, this node's subnets by their first address, MTU. */
export function subnetEnv(networks: readonly Cidr[], subnets: readonly Cidr[], mtu: number): string {
  const lines: string[] = [];
  for (const [family, prefix] of [
    [4, ""],
    [6, "IPV6_"],
  ] as const) {
    const network = networks.find((cidr) => cidr.ip.family === family);
    const subnet = subnets.find((cidr) => cidr.ip.family === family);
    if (!network || !subnet) continue;
    lines.push(`FLANNEL_${prefix}NETWORK=${formatCidr(network)}`);
    lines.push(`FLANNEL_${prefix}SUBNET=${formatIp(cidrNth(subnet, 1))}/${subnet.prefix}`);
  }
  return `${[...lines, `FLANNEL_MTU=${mtu}`, "FLANNEL_IPMASQ=true"].join("\n")}\n`;
}

/** Writes the file in one step, readable by all. */
export function writeSubnetEnv(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
  writeFileSync(`${file}.draft`, text, { mode: 0o644 });
  renameSync(`${file}.draft`, file);
}
