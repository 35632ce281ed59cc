import { PodwireError } from "#base/errors.ts";
import { BRIDGE } from "./model.ts";

const toNumber = (address: string): number => address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
const toText = (number: number): string => [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join(".");

/**
 * The lowest address of docker0's network that nobody has, beginning behind the bridge's own.
 * @throws PodwireError "NoAddress" when all 65,533 are taken
 */
export function nextAddress(taken: Iterable<string>): string {
  const used = new Set([...taken, BRIDGE.gateway]);
  const first = toNumber(BRIDGE.network.split("/")[0] ?? "");
  const broadcast = first + 2 ** (32 - BRIDGE.prefix) - 1;
  for (let number = first + 1; number < broadcast; number++) if (!used.has(toText(number))) return toText(number);
  throw new PodwireError("NoAddress", `no available IPv4 addresses on this network's address pools: ${BRIDGE.network}`);
}

/** MAC address of a container's interface, from its IPv4 address as Docker makes it (libnetwork, GenerateMACFromIP). */
export function macOf(address: string): string {
  return ["02", "42", ...address.split(".").map((part) => Number(part).toString(16).padStart(2, "0"))].join(":");
}
