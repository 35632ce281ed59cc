import koffi from "koffi";

/**
 * The C library's functions that Podwire calls (0.3–0.6 µs a call through koffi).
 * Pointers to structures are passed as Buffers laid out by the caller; layouts are in the modules that use them.
 * Every function returns a negative number on failure with errno set; wrap calls in `check()`.
 * koffi has no ssize_t: `long` stands for it.
 */
function bind() {
  const library = koffi.load("libc.so.6");
  return {
    socket: library.func("int socket(int, int, int)"),
    bind: library.func("int bind(int, const void*, uint)"),
    listen: library.func("int listen(int, int)"),
    accept4: library.func("int accept4(int, void*, void*, int)"),
    connect: library.func("int connect(int, const void*, uint)"),
    getsockname: library.func("int getsockname(int, void*, void*)"),
    send: library.func("long send(int, const void*, size_t, int)"),
    recv: library.func("long recv(int, void*, size_t, int)"),
    sendmsg: library.func("long sendmsg(int, const void*, int)"),
    recvmsg: library.func("long recvmsg(int, void*, int)"),
    // Addresses of structures as numbers: for calls so frequent that handing over a Buffer would show.
    recvmmsg: library.func("int recvmmsg(int, uintptr_t, uint, int, uintptr_t)"),
    sendmmsg: library.func("int sendmmsg(int, uintptr_t, uint, int)"),
    sendto: library.func("long sendto(int, const void*, size_t, int, const void*, uint)"),
    socketpair: library.func("int socketpair(int, int, int, void*)"),
    setsockopt: library.func("int setsockopt(int, int, int, const void*, uint)"),
    getsockopt: library.func("int getsockopt(int, int, int, void*, void*)"),
    shutdown: library.func("int shutdown(int, int)"),
    setns: library.func("int setns(int, int)"),
    unshare: library.func("int unshare(int)"),
    close: library.func("int close(int)"),
    dup: library.func("int dup(int)"),
    open: library.func("int open(const char*, int, int)"),
    read: library.func("long read(int, void*, size_t)"),
    write: library.func("long write(int, const void*, size_t)"),
    mknod: library.func("int mknod(const void*, uint, ulong)"),
    lsetxattr: library.func("int lsetxattr(const void*, const char*, const void*, size_t, int)"),
    memfdCreate: library.func("int memfd_create(const void*, uint)"),
    mkfifo: library.func("int mkfifo(const char*, uint)"),
    splice: library.func("long splice(int, void*, int, void*, size_t, uint)"),
    fallocate: library.func("int fallocate(int, int, long, long)"),
    pipe2: library.func("int pipe2(void*, int)"),
    fcntl: library.func("int fcntl(int, int, long)"),
    ioctl: library.func("int ioctl(int, ulong, void*)"),
    flock: library.func("int flock(int, int)"),
    syncfs: library.func("int syncfs(int)"),
    poll: library.func("int poll(void*, ulong, int)"),
    mount: library.func("int mount(const char*, const char*, const char*, ulong, const void*)"),
    umount2: library.func("int umount2(const char*, int)"),
    chdir: library.func("int chdir(const char*)"),
    sethostname: library.func("int sethostname(const char*, size_t)"),
    prctl: library.func("int prctl(int, ulong, ulong, ulong, ulong)"),
    umask: library.func("uint umask(uint)"),
    waitpid: library.func("int waitpid(int, void*, int)"),
    waitid: library.func("int waitid(int, int, void*, int)"),
    kill: library.func("int kill(int, int)"),
    getppid: library.func("int getppid()"),
    syscall3: library.func("syscall", "long", ["long", "long", "long", "long"]),
    syscall5: library.func("syscall", "long", ["long", "long", "long", "long", "long", "long"]),
    syscallOpenat2: library.func("syscall", "long", ["long", "int", "const char*", "const void*", "size_t"]),
    syscallPaths: library.func("syscall", "long", ["long", "const char*", "const char*"]),
    posixSpawn: library.func(
      "int posix_spawn(_Out_ int*, const char*, const void*, const void*, const char**, const char**)",
    ),
    spawnActionsInit: library.func("int posix_spawn_file_actions_init(void*)"),
    spawnActionsDestroy: library.func("int posix_spawn_file_actions_destroy(void*)"),
    spawnActionsDup2: library.func("int posix_spawn_file_actions_adddup2(void*, int, int)"),
    spawnActionsOpen: library.func("int posix_spawn_file_actions_addopen(void*, int, const char*, int, uint)"),
    spawnActionsCloseFrom: library.func("int posix_spawn_file_actions_addclosefrom_np(void*, int)"),
    spawnActionsChdir: library.func("int posix_spawn_file_actions_addchdir_np(void*, const char*)"),
    spawnAttributesInit: library.func("int posix_spawnattr_init(void*)"),
    spawnAttributesDestroy: library.func("int posix_spawnattr_destroy(void*)"),
    spawnAttributesFlags: library.func("int posix_spawnattr_setflags(void*, short)"),
    spawnAttributesMask: library.func("int posix_spawnattr_setsigmask(void*, const void*)"),
    spawnAttributesDefault: library.func("int posix_spawnattr_setsigdefault(void*, const void*)"),
    posixOpenpt: library.func("int posix_openpt(int)"),
    grantpt: library.func("int grantpt(int)"),
    unlockpt: library.func("int unlockpt(int)"),
    ptsnameR: library.func("int ptsname_r(int, void*, size_t)"),
  };
}

/** The bound C library. */
export const libc = bind();

/**
 * Address of a buffer's memory, for structures that hold pointers.
 * The caller keeps the buffer referenced until the call that uses the address has returned.
 */
export function addressOf(buffer: Uint8Array): bigint {
  return BigInt(koffi.address(buffer));
}
