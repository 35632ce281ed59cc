/** Mode ebpf: programs in the kernel translate where sockets connect or send; rules do the rest. */
export { checkEbpf, EBPF_TABLE, type EbpfBackendOptions, ebpfBackend, hasEbpfPrograms } from "./backend.ts";
export { translatable } from "./plan.ts";
