import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { folder, type LayerFile } from "./build.ts";

/** What busybox is called as in the images of tests. */
const APPLETS = [
  "sh",
  "ls",
  "cat",
  "id",
  "sleep",
  "httpd",
  "env",
  "ps",
  "rm",
  "mkdir",
  "wget",
  "stat",
  "touch",
  "grep",
  "pwd",
  "tar",
  "ip",
  "nslookup",
  "chroot",
  "hostname",
  "true",
  "echo",
];

/** Where programs look for libraries by themselves; a library from elsewhere is put into the last. */
const LIBRARIES = /^\/(usr\/)?lib/;

/** A program of this machine as files of a layer: itself, and its libraries where it is not static. */
export function programFiles(program: string, name: string): LayerFile[] {
  const path = execFileSync("sh", ["-c", `command -v ${program}`], { encoding: "utf8" }).trim();
  let words = "";
  try {
    words = execFileSync("ldd", [path], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    // It is static.
  }
  const libraries = [...words.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] as string);
  const file = (to: string, from: string): LayerFile => ({ name: to, mode: 0o755, content: readFileSync(from) });
  const place = (from: string): string => (LIBRARIES.test(from) ? from.slice(1) : `usr/lib/${basename(from)}`);
  return [file(name, path), ...libraries.map((library) => file(place(library), library))];
}

/** A layer with a shell and its tools in /bin, and two users. */
export function shellLayer(): LayerFile[] {
  return [
    folder("bin"),
    folder("etc"),
    folder("tmp", { mode: 0o1777 }),
    ...programFiles("busybox", "bin/busybox"),
    ...APPLETS.map((name): LayerFile => ({ name: `bin/${name}`, type: "2", target: "busybox" })),
    { name: "etc/passwd", content: "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102::/home/web:/bin/sh\n" },
    { name: "etc/group", content: "root:x:0:\nweb:x:102:\nextra:x:200:web\n" },
  ];
}
