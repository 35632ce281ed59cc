// The distribution's packages as apt knows them, without root: with state of our own, and nothing is installed.
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { Refusal } from "./say.mjs";

/** The host's installed packages and their versions. */
export function installedPackages() {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own syntax
  const format = "${db:Status-Abbrev} ${Package} ${Version}\n";
  const result = spawnSync("dpkg-query", ["-W", "-f", format], { encoding: "utf8", maxBuffer: 64 << 20 });
  const lines = (result.stdout ?? "").split("\n").filter((line) => line.startsWith("ii "));
  return new Map(lines.map((line) => line.trim().split(/ +/).slice(1)));
}

/** Runs a program to its end, which may be any. */
export function run(program, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    let out = "";
    let err = "";
    child.stdout.on("data", (data) => (out += data));
    child.stderr.on("data", (data) => (err += data));
    child.on("error", (error) => resolve({ code: -1, out, err: error.message }));
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

/** Runs a program; its output. @throws Refusal with its last words when it fails */
export async function must(what, program, args, options) {
  const result = await run(program, args, options);
  if (result.code === 0) return result.out;
  const reason =
    result.err
      .trim()
      .split("\n")
      .filter((line) => line.startsWith("E:"))
      .pop() ?? result.err.trim().split("\n").pop();
  throw new Refusal(`${what}: ${program} says: ${reason}`);
}

/** Settings that give apt its own state, so that it needs neither root nor the system's lists. */
export function aptConfiguration(work) {
  for (const name of ["lists/partial", "cache/archives/partial", "state"]) {
    fs.mkdirSync(path.join(work, name), { recursive: true });
  }
  const file = path.join(work, "apt.conf");
  fs.writeFileSync(
    file,
    `Dir::State "${work}/state";
Dir::State::lists "${work}/lists";
Dir::State::status "/var/lib/dpkg/status";
Dir::State::extended_states "${work}/state/extended_states";
Dir::Cache "${work}/cache";
Dir::Log "${work}/state";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Get::AutomaticRemove "false";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::CNF::DefaultEnabled "false";
Acquire::Retries "3";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
`,
  );
  return file;
}

/** What apt would install for `names`, as name=version, beyond what the host has. */
export async function resolvePackages(configuration, names) {
  const settings = ["-c", configuration];
  const install = ["-qq", "-s", "--no-remove", "--no-upgrade", "install", ...names];
  let result = await run("apt-get", [...settings, ...install]);
  const emptied = result.code !== 0;
  if (emptied) {
    // The host's own packages stand in the way (held, broken, another nginx): resolve as for an empty machine, and
    // leave out what the host has.
    const empty = path.join(path.dirname(configuration), "state", "status");
    fs.writeFileSync(empty, "");
    settings.push("-o", `Dir::State::status=${empty}`);
    result = { out: await must("the tools' packages cannot be resolved", "apt-get", [...settings, ...install]) };
  }
  const host = emptied ? installedPackages() : new Map();
  return [...result.out.matchAll(/^Inst (\S+) (?:\[[^\]]*\] )?\((\S+) .*\[(\w+)\]\)/gm)]
    .map(([, name, version, architecture]) => ({ name, version, architecture }))
    .filter(({ name }) => !host.has(name) && !installOnly.test(name));
}

/** Needed by the packages' installation, not by their programs. */
const installOnly =
  /^(adduser|debconf|dpkg|init-system-helpers|usrmerge|usr-is-merged|perl.*|lib.*-perl|libperl.*|passwd)$/;

/** Names of packages that apt knows at all. */
export async function known(configuration, names) {
  const result = await run("apt-cache", ["-c", configuration, "policy", ...names]);
  return names.filter((name) =>
    new RegExp(`^${name.replaceAll(".", "\\.")}:\\n.*\\n +Candidate: (?!\\(none\\))`, "m").test(result.out),
  );
}

/** Fetches packages into a folder; the paths of the archives. */
export async function download(configuration, packages, folder) {
  fs.mkdirSync(folder, { recursive: true });
  const words = packages.map(
    (p) => `${p.name}${p.name.includes(":") || p.architecture === "all" ? "" : `:${p.architecture}`}=${p.version}`,
  );
  await must("the tools' packages cannot be fetched", "apt-get", ["-c", configuration, "-qq", "download", ...words], {
    cwd: folder,
  });
  return fs
    .readdirSync(folder)
    .filter((name) => name.endsWith(".deb"))
    .map((name) => path.join(folder, name));
}

/** The host's packages that the tools lean on: all that were left out because the host has them. */
export async function hostDependencies(names, fetched) {
  const result = await run("apt-cache", [
    "depends",
    "--recurse",
    "--installed",
    "--no-recommends",
    "--no-suggests",
    "--no-conflicts",
    "--no-breaks",
    "--no-replaces",
    "--no-enhances",
    "--no-pre-depends",
    ...names,
    ...fetched.map((p) => p.name),
  ]);
  const mentioned = new Set(
    result.out
      .split("\n")
      .filter((line) => /^\S/.test(line))
      .map((line) => line.replace(/:\w+$/, "")),
  );
  const own = new Set(fetched.map((p) => p.name));
  return Object.fromEntries(
    [...installedPackages()].filter(([name]) => mentioned.has(name) && !own.has(name) && !installOnly.test(name)),
  );
}
