import { parseCidr } from "#base/ip.ts";

/** Whether a text is a network such as 10.9.8.0/24. */
export function isCidr(text: string | undefined): boolean {
  try {
    return parseCidr(text ?? "") !== undefined;
  } catch {
    return false;
  }
}

/** What upstream says of a network that is none. */
export const badCidr = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
