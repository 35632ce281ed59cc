import { readFileSync } from "node:fs";
import type { ImageFile } from "./source.ts";

/** Lines of a passwd or group file for the system's own users: no person of this machine shows in a pod. */
function systemLines(path: string): string {
  const isSystem = (line: string) => {
    const id = Number(line.split(":")[2]);
    return id < 1000 || id === 65534;
  };
  const lines = readFileSync(path, "utf8").split("\n").filter(isSystem);
  // The first lines of a system without such a file.
  return lines.length > 1 ? `${lines.filter((l) => l !== "").join("\n")}\n` : "root:x:0:0:root:/root:/bin/sh\n";
}

/** The folders, links and files that every template's root has besides its mounts. */
export function baseFiles(etc = "/etc"): readonly ImageFile[] {
  const folder = (path: string, mode = 0o755): ImageFile => ({ path, folder: true, mode });
  return [
    ...["/dev", "/proc", "/sys", "/usr", "/opt", "/srv", "/mnt", "/media", "/home", "/etc"].map((p) => folder(p)),
    folder("/root", 0o700),
    ...["/var", "/var/cache", "/var/lib", "/var/log", "/var/spool"].map((p) => folder(p)),
    folder("/tmp", 0o1777),
    folder("/var/tmp", 0o1777),
    folder("/run"),
    // Relative: mounts on a path through it are made from outside of the root.
    { path: "/var/run", link: "../run" },
    ...["bin", "sbin", "lib"].map((name): ImageFile => ({ path: `/${name}`, link: `usr/${name}` })),
    ...(process.arch === "x64" ? [{ path: "/lib64", link: "usr/lib64" }] : []),
    { path: "/etc/passwd", text: systemLines(`${etc}/passwd`) },
    { path: "/etc/group", text: systemLines(`${etc}/group`) },
    {
      path: "/etc/nsswitch.conf",
      text: "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n",
    },
    { path: "/etc/os-release", link: "../usr/lib/os-release" },
    { path: "/etc/mtab", link: "../proc/self/mounts" },
    folder("/dev/shm", 0o1777),
    { path: "/dev/ptmx", link: "pts/ptmx" },
    { path: "/dev/fd", link: "/proc/self/fd" },
    { path: "/dev/stdin", link: "/proc/self/fd/0" },
    { path: "/dev/stdout", link: "/proc/self/fd/1" },
    { path: "/dev/stderr", link: "/proc/self/fd/2" },
    { path: "/root/.bashrc", text: "PS1='\\u@\\h:\\w\\$ '\n", mode: 0o644 },
  ];
}
