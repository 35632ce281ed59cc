/** Flags of unshare(2), setns(2) and clone(2) (include/uapi/linux/sched.h). */
export const CLONE = {
  FS: 0x200,
  NEWNS: 0x20000,
  NEWCGROUP: 0x2000000,
  NEWUTS: 0x4000000,
  NEWIPC: 0x8000000,
  NEWUSER: 0x10000000,
  NEWPID: 0x20000000,
  NEWNET: 0x40000000,
} as const;

/** Address families (include/linux/socket.h). */
export const AF = { UNIX: 1, INET: 2, INET6: 10, NETLINK: 16, PACKET: 17 } as const;

/** Socket types and creation flags (include/linux/net.h). */
export const SOCK = { STREAM: 1, DGRAM: 2, RAW: 3, NONBLOCK: 0o4000, CLOEXEC: 0o2000000 } as const;

/** Flags of open(2) that Node's fs.constants lacks or which are used with libc.open (asm-generic/fcntl.h). */
export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  NOCTTY: 0o400,
  NONBLOCK: 0o4000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
} as const;

/** System call numbers that libc has no portable wrapper for; they differ per architecture (asm/unistd.h). */
const NUMBERS = {
  x64: {
    pivotRoot: 155,
    pidfdOpen: 434,
    pidfdSendSignal: 424,
    bpf: 321,
    gettid: 186,
    keyctl: 250,
    closeRange: 436,
    write: 1,
    close: 3,
    fcntl: 72,
    execve: 59,
    chdir: 80,
    setgroups: 116,
    setresuid: 117,
    setresgid: 119,
    capset: 126,
    prctl: 157,
    rtSigaction: 13,
    ppoll: 271,
    mount: 165,
    setns: 308,
    unshare: 272,
    ioctl: 16,
    openat2: 437,
  },
  arm64: {
    pivotRoot: 41,
    pidfdOpen: 434,
    pidfdSendSignal: 424,
    bpf: 280,
    gettid: 178,
    keyctl: 219,
    closeRange: 436,
    write: 64,
    close: 57,
    fcntl: 25,
    execve: 221,
    chdir: 49,
    setgroups: 159,
    setresuid: 147,
    setresgid: 149,
    capset: 91,
    prctl: 167,
    rtSigaction: 134,
    ppoll: 73,
    mount: 40,
    setns: 268,
    unshare: 97,
    ioctl: 29,
    openat2: 437,
  },
} as const;

/**
 * The system call numbers of the architecture this process runs on.
 * @throws Error on an architecture other than x64 and arm64
 */
export function syscallNumbers(): (typeof NUMBERS)[keyof typeof NUMBERS] {
  const numbers = NUMBERS[process.arch as keyof typeof NUMBERS];
  if (!numbers) throw new Error(`podwire runs on x64 and arm64, not on ${process.arch}`);
  return numbers;
}
