import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { dockerArchive, folder, type LayerFile } from "./build.ts";
import { programFiles, shellLayer } from "./shell.ts";

/** What tests need besides to run where no template stands in for an image. */
export interface StrictImages {
  /** Flags of `podwire up`. */
  readonly flags: readonly string[];
  /** Archives for `podwire images load`. */
  readonly archives: readonly string[];
  /** Environment in which no registry answers, on a machine with a network too. */
  readonly env: Readonly<Record<string, string>>;
}

/** Whether the tests run with `images: strict`, as the project e2e-strict of vitest.config.ts does. */
export const strictImages = process.env["PODWIRE_TEST_IMAGES"] === "strict";

const NGINX = `user root;
pid /run/nginx.pid;
error_log stderr;
events { worker_connections 64; }
http { access_log /dev/stdout; server { listen 80; root /www; } }
`;

function nginxLayer(): LayerFile[] {
  const folders = ["run", "var", "var/lib", "var/lib/nginx", "var/log", "var/log/nginx", "www", "etc/nginx"];
  return [
    ...folders.map((name) => folder(name)),
    ...programFiles("nginx", "usr/sbin/nginx"),
    { name: "etc/nginx/nginx.conf", content: NGINX },
    { name: "www/index.html", content: "Welcome to nginx!\n" },
  ];
}

/**
 * Writes images of the names that test/e2e uses, from this machine's programs, and a configuration. All have tags: without
 * one a registry has to answer each time (imagePullPolicy Always).
 */
export function makeStrictImages(directory: string): StrictImages {
  const write = (name: string, content: string | Buffer): string => {
    writeFileSync(join(directory, name), content, { mode: 0o644 });
    return join(directory, name);
  };
  const Env = ["PATH=/usr/sbin:/bin"];
  const shell = shellLayer();
  const busybox = dockerArchive([shell], { Cmd: ["sh"], Env }, ["busybox:1.36"]);
  const started = { Cmd: ["nginx", "-g", "daemon off;"], Env };
  const nginx = dockerArchive([shell, nginxLayer()], started, ["nginx:1.26", "nginx:1.27"]);
  return {
    flags: ["--config", write("strict.yaml", "images: strict\n")],
    archives: [write("busybox.tar", busybox), write("nginx.tar", nginx)],
    env: { HTTPS_PROXY: "http://127.0.0.1:1" },
  };
}
