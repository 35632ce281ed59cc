import koffi from "koffi";

const NUMBERS = { x64: { addKey: 248, keyctl: 250 }, arm64: { addKey: 217, keyctl: 219 } } as const;
const KEYCTL_JOIN_SESSION_KEYRING = 1;
const SESSION_KEYRING = -3;

/**
 * Gives this process, and what it starts, a session keyring with one key in it (keyrings(7)), as a login would.
 * @returns false on kernels without keyrings
 */
export function addSessionKey(description: string, payload: string): boolean {
  const numbers = NUMBERS[process.arch as keyof typeof NUMBERS];
  const libc = koffi.load("libc.so.6");
  const keyctl = libc.func("syscall", "long", ["long", "long", "long"]);
  const addKey = libc.func("syscall", "long", ["long", "str", "str", "str", "long", "long"]);
  if (keyctl(numbers.keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0) < 0) return false;
  return addKey(numbers.addKey, "user", description, payload, payload.length, SESSION_KEYRING) > 0;
}
