import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
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
];

/** Files that this machine's busybox is made of: the program, and its libraries where it is not static. */
function busybox(): { path: string; libraries: string[] } {
  const path = execFileSync("sh", ["-c", "command -v busybox"], { encoding: "utf8" }).trim();
  let words = "";
  try {
    words = execFileSync("ldd", [path], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    // It is static.
  }
  return { path, libraries: [...words.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] as string) };
}

/** A layer with a shell and its tools in /bin, and two users. */
export function shellLayer(): LayerFile[] {
  const { path, libraries } = busybox();
  const file = (name: string, from: string): LayerFile => ({ name, mode: 0o755, content: readFileSync(from) });
  return [
    folder("bin"),
    folder("etc"),
    folder("tmp", { mode: 0o1777 }),
    file("bin/busybox", path),
    ...APPLETS.map((name): LayerFile => ({ name: `bin/${name}`, type: "2", target: "busybox" })),
    ...libraries.map((library) => file(library.slice(1), library)),
    { name: "etc/passwd", content: "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102::/home/web:/bin/sh\n" },
    { name: "etc/group", content: "root:x:0:\nweb:x:102:\nextra:x:200:web\n" },
  ];
}
