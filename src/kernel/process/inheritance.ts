import { libc, syscallNumbers } from "#kernel/ffi/index.ts";

const FIRST_AFTER_STREAMS = 3;
const LAST_DESCRIPTOR = 0xffff_ffff;
/** close_range(2), Linux 5.11. */
const CLOSE_RANGE_CLOEXEC = 4;
/** keyctl(2): a session keyring of one's own. */
const KEYCTL_JOIN_SESSION_KEYRING = 1;

/**
 * Keeps descriptors that this process inherited, from a shell for instance, to itself: programs that it starts get
 * only what is handed to them by name. On kernels without it nothing happens.
 */
export function keepDescriptors(): void {
  libc.syscall3(syscallNumbers().closeRange, FIRST_AFTER_STREAMS, LAST_DESCRIPTOR, CLOSE_RANGE_CLOEXEC);
}

/**
 * Leaves the session keyring of whoever started this process: namespaces do not hide it, and its keys (Kerberos
 * tickets, keys of encrypted folders) are readable by all who share it. Holds for the calling thread and for threads
 * and programs that it starts later. Kernels without keyrings have nothing to leave.
 */
export function leaveSessionKeyring(): void {
  libc.syscall3(syscallNumbers().keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0, 0);
}
