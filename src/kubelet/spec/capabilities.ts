import { capabilityNames } from "#kernel/process/index.ts";

const ALL_BITS = (1n << 64n) - 1n;

/** Every capability there is, as capabilities(7) without CAP_, in small letters. */
export const EVERY_CAPABILITY: readonly string[] = capabilityNames(ALL_BITS);

/** A capability as a pod names it, such as `NET_ADMIN`, in the form of {@link EVERY_CAPABILITY}; `all` stays so. */
export function capabilityName(text: string): string {
  return text.toLowerCase().replace(/^cap_/, "");
}

/** Whether a name that a pod gives is neither that of a capability nor ALL. */
export function isUnknownCapability(text: string): boolean {
  const name = capabilityName(text);
  return name !== "all" && !EVERY_CAPABILITY.includes(name);
}
