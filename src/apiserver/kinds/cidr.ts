import { parseCidr } from "#base/ip.ts";

/** Whether a text is a network such as 10.9.8.0/24. */
export function isCidr(text: string | undefined): boolean {
  try {
    return parseCidr(text ?? "") !== undefined;
  } catch {
    return false;
  }
}
