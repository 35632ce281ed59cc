import { formatIp, type Ip } from "#base/ip.ts";
import { protocols } from "#kernel/nft/index.ts";

/** `TCP` for 6. */
export function protocolName(number: number): string {
  return Object.entries(protocols).find(([, value]) => value === number)?.[0] ?? String(number);
}

/** `10.96.0.1:80`, `[fd00::1]:80` */
export function socketText({ ip, port }: { readonly ip: Ip; readonly port: number }): string {
  return ip.family === 6 ? `[${formatIp(ip)}]:${port}` : `${formatIp(ip)}:${port}`;
}

/** `10.96.0.1:80/TCP` */
export function addressText(address: { readonly ip: Ip; readonly port: number; readonly protocol: number }): string {
  return `${socketText(address)}/${protocolName(address.protocol)}`;
}
