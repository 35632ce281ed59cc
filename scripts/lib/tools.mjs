// The tools that a cluster's machines show (nginx, dig, nft, …), out of the distribution's packages, without root and
// without installing anything: apt resolves and checks them with state of our own, dpkg-deb unpacks them into the
// user's cache, and every machine and pod sees that folder's usr/ laid over the host's /usr.
//
//   <cache>/podwire/tools-<hash>/root/usr   the lower directory
//   <cache>/podwire/tools-<hash>/root/etc   configuration files of the packages (nginx's mime.types, …)
//   <cache>/podwire/tools-<hash>/stamp      written last: which packages, and which of the host's they lean on
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { withLock } from "./lock.mjs";
import {
  aptConfiguration,
  download,
  hostDependencies,
  installedPackages,
  known,
  must,
  resolvePackages,
  run,
} from "./packages.mjs";
import { cacheDirectory, dist } from "./paths.mjs";
import { Refusal, say } from "./say.mjs";

/** Raise it when what is done with the packages changes. */
const layout = 1;

/** Package → the programs wanted from it. */
export const wanted = {
  nginx: ["nginx"],
  tini: ["tini"],
  nftables: ["nft"],
  iptables: ["iptables", "ip6tables", "iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore"],
  "bind9-dnsutils": ["dig", "nslookup"],
  "bind9-host": ["host"],
  "iputils-ping": ["ping"],
  "net-tools": ["arp", "ifconfig", "netstat", "route"],
  procps: ["ps", "sysctl"],
  iproute2: ["ip", "ss", "bridge", "tc"],
  curl: ["curl"],
  tcpdump: ["tcpdump"],
  less: ["less"],
  socat: ["socat"],
  "netcat-openbsd": ["nc"],
};

/** What the packages' own set-up would have linked through /etc/alternatives. */
const alternatives = {
  iptables: "iptables-nft",
  "iptables-save": "iptables-nft-save",
  "iptables-restore": "iptables-nft-restore",
  ip6tables: "ip6tables-nft",
  "ip6tables-save": "ip6tables-nft-save",
  "ip6tables-restore": "ip6tables-nft-restore",
  arptables: "arptables-nft",
  ebtables: "ebtables-nft",
  nc: "nc.openbsd",
};

function release() {
  try {
    const text = fs.readFileSync("/etc/os-release", "utf8");
    return ["ID", "VERSION_ID"].map((key) => new RegExp(`^${key}=(.*)$`, "m").exec(text)?.[1] ?? "").join(" ");
  } catch {
    return "";
  }
}

function toolsName() {
  const words = JSON.stringify([layout, wanted, release(), process.arch]);
  return `tools-${createHash("sha256").update(words).digest("hex").slice(0, 12)}`;
}

/** The folder of the tools of this user on this machine, there or not. */
export function toolsDirectory() {
  return path.join(cacheDirectory(), toolsName());
}

const places = ["usr/sbin", "usr/bin", "usr/local/sbin", "usr/local/bin", "sbin", "bin"];

function findProgram(name, folder) {
  return ["/", ...(folder ? [path.join(folder, "root")] : [])]
    .flatMap((top) => places.map((place) => path.join(top, place, name)))
    .find((file) => fs.existsSync(file));
}

/** Program names that neither the host nor the tools folder has. */
export function missingPrograms(folder = toolsDirectory()) {
  return Object.values(wanted)
    .flat()
    .filter((name) => !findProgram(name, folder));
}

function readStamp(folder) {
  try {
    return JSON.parse(fs.readFileSync(path.join(folder, "stamp"), "utf8"));
  } catch {
    return undefined;
  }
}

/** True when the folder is complete and the host still has the libraries that it leans on. */
function isFresh(folder) {
  const stamp = readStamp(folder);
  if (!stamp) return false;
  const file = path.join(folder, "stamp");
  const host = fs.statSync("/var/lib/dpkg/status", { throwIfNoEntry: false });
  if (!host || host.mtimeMs <= fs.statSync(file).mtimeMs) return true;
  const now = installedPackages();
  // Another version of the same release's library serves as well; only what is gone counts.
  if (Object.keys(stamp.host).some((name) => !now.has(name))) return false;
  fs.utimesSync(file, new Date(), new Date());
  return true;
}

/** Unpacks into `top` with one /usr: what packages still ship in /bin, /sbin and /lib goes below it. */
export async function unpack(archives, top) {
  fs.mkdirSync(path.join(top, "usr"), { recursive: true });
  for (const archive of archives) await must("a package cannot be unpacked", "dpkg-deb", ["-x", archive, top]);
  for (const name of fs.readdirSync(top).filter((entry) => /^(s?bin|lib.*)$/.test(entry))) {
    const from = path.join(top, name);
    const to = path.join(top, "usr", name);
    fs.mkdirSync(to, { recursive: true });
    await must("the folders cannot be merged", "cp", ["-a", "--no-preserve=ownership", `${from}/.`, to]);
    fs.rmSync(from, { recursive: true });
  }
  // Manual pages and the like are seen on a machine by nobody.
  for (const name of ["man", "doc", "locale", "info", "lintian", "bash-completion"]) {
    fs.rmSync(path.join(top, "usr/share", name), { recursive: true, force: true });
  }
}

function linkAlternatives(top) {
  for (const [name, target] of Object.entries(alternatives)) {
    const folder = ["usr/sbin", "usr/bin"].find((place) => fs.existsSync(path.join(top, place, target)));
    const link = folder && path.join(top, folder, name);
    if (link && !findProgram(name, path.dirname(top))) fs.symlinkSync(target, link);
  }
}

async function fill(folder) {
  const work = `${folder}.new-${process.pid}`;
  try {
    fs.mkdirSync(work, { recursive: true });
    const configuration = aptConfiguration(path.join(work, "apt"));
    say("reading the distribution's package lists (into the cache; nothing is installed)");
    const update = await run("apt-get", ["-c", configuration, "-qq", "update"]);
    const names = await known(configuration, Object.keys(wanted));
    if (names.length === 0)
      throw new Refusal(`the package lists cannot be read: ${update.err.trim().split("\n").pop()}`);
    const packages = await resolvePackages(configuration, names);
    say(`fetching ${packages.length} packages for the cluster's machines (${names.join(", ")})`);
    const archives = packages.length > 0 ? await download(configuration, packages, path.join(work, "archives")) : [];
    await unpack(archives, path.join(work, "root"));
    linkAlternatives(path.join(work, "root"));
    for (const name of ["apt", "archives"]) fs.rmSync(path.join(work, name), { recursive: true, force: true });
    const stamp = {
      packages: Object.fromEntries(packages.map((p) => [p.name, p.version])),
      host: await hostDependencies(names, packages),
    };
    fs.writeFileSync(path.join(work, "stamp"), `${JSON.stringify(stamp, null, 1)}\n`);
    // A running cluster may stand on the old folder: it is only moved aside, and removed the time after.
    fs.rmSync(`${folder}.old`, { recursive: true, force: true });
    if (fs.existsSync(folder)) fs.renameSync(folder, `${folder}.old`);
    fs.renameSync(work, folder);
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

/** Notes the folder's name beside the bundles, where the `podwire` script looks. */
export function noteName() {
  const file = path.join(dist, "tools-name");
  try {
    if (fs.existsSync(file) && fs.readFileSync(file, "utf8").trim() === toolsName()) return;
    fs.writeFileSync(file, `${toolsName()}\n`);
  } catch {
    // A checkout of somebody else: the script then takes the slower way.
  }
}

/** Codes of a cache folder that cannot be made or written. */
const withoutPlace = new Set(["EACCES", "EPERM", "EROFS", "ENOENT", "ENOTDIR", "ENOSPC"]);

/**
 * Fills the tools folder when it is missing or stale. Without a network or apt this is no failure as long as the host
 * has the programs itself: `podwire doctor` says what is missing and what it costs.
 */
export async function ensureTools({ install = true } = {}) {
  const folder = toolsDirectory();
  noteName();
  if (isFresh(folder)) return folder;
  const missing = () => missingPrograms(folder).join(", ");
  if (!install || !findProgram("apt-get") || !findProgram("dpkg-deb")) {
    if (missing()) say(`${install ? "no apt here" : "--no-install"}: machines will lack ${missing()}`);
    return folder;
  }
  try {
    await withLock(`${folder}.lock`, async () => {
      if (!isFresh(folder)) await fill(folder);
    });
  } catch (error) {
    if (!(error instanceof Refusal) && !withoutPlace.has(error.code)) throw error;
    say(error instanceof Refusal ? error.message : `no place for the machines' tools: ${error.message}`);
    if (missing()) say(`machines will lack ${missing()}; mend it by: node scripts/setup.mjs`);
  }
  return folder;
}
