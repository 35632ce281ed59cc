/** Capabilities in the order of their numbers (linux/capability.h), as capabilities(7) names them without CAP_. */
const NAMES = [
  ...["chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap"],
  ...["linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner"],
  ...["sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice"],
  ...["sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap"],
  ...["mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf"],
  "checkpoint_restore",
];

/** Numbers of capabilities. @throws Error for a name that there is none of */
export function capabilityNumbers(names: readonly string[]): number[] {
  return names.map((name) => {
    const number = NAMES.indexOf(name);
    if (number < 0) throw new Error(`unknown capability "CAP_${name.toUpperCase()}"`);
    return number;
  });
}
