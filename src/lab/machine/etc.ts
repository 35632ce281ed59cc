import { cpSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * What of the machine's /etc a lab machine gets: what programs need to run, nothing that identifies or guards this
 * computer (keys, shadow, hosts, network settings, units).
 */
const COPIED = [
  "alternatives",
  "bash.bashrc",
  "bindresvport.blacklist",
  "debian_version",
  "dpkg/origins",
  "environment",
  "ethertypes",
  "gai.conf",
  "host.conf",
  "inputrc",
  "iproute2",
  "ld.so.cache",
  "ld.so.conf",
  "ld.so.conf.d",
  "localtime",
  "login.defs",
  "lsb-release",
  "mime.types",
  "nsswitch.conf",
  "os-release",
  "profile",
  "protocols",
  "rpc",
  "services",
  "skel",
  "terminfo",
  "ca-certificates.conf",
  "pki/tls/certs",
  "ssl/certs",
  "ssl/openssl.cnf",
  "netconfig",
  "networks",
  "vim",
  "python3",
  "perl",
] as const;

/** Ids below this belong to the system's own accounts (login.defs SYS_UID_MAX), 65534 is nobody. */
const FIRST_USER_ID = 1000;
const NOBODY = 65_534;

/** Accounts of the system itself, as lines of passwd or group. */
export function systemAccounts(text: string): string {
  const lines = text.split("\n").filter((line) => {
    const id = Number(line.split(":")[2]);
    return line !== "" && (id < FIRST_USER_ID || id === NOBODY);
  });
  return `${lines.join("\n")}\n`;
}

/**
 * Users as which the tools of machines work; a package makes them when it is installed, the tools are only unpacked.
 * tcpdump(8) does not start without its own.
 */
const TOOL_ACCOUNTS = ["tcpdump"] as const;

/** Lines of passwd or group with the tools' accounts, each under the highest id of the system's that is free. */
export function withToolAccounts(text: string, rest: string): string {
  const names = new Set(text.split("\n").map((line) => line.split(":")[0]));
  const ids = new Set(text.split("\n").map((line) => Number(line.split(":")[2])));
  let id = FIRST_USER_ID;
  const added = TOOL_ACCOUNTS.filter((name) => !names.has(name)).map((name) => {
    do id--;
    while (ids.has(id));
    return `${name}:x:${id}:${rest.replace("ID", String(id))}\n`;
  });
  return text + added.join("");
}

function copy(from: string, to: string): void {
  cpSync(from, to, {
    recursive: true,
    verbatimSymlinks: true,
    // Sockets, devices and what we may not read stay behind.
    filter: (source) => readable(source),
  });
}

function readable(path: string): boolean {
  try {
    const stat = lstatSync(path);
    if (stat.isSymbolicLink()) return true;
    if (stat.isDirectory()) return readdirSync(path) !== undefined;
    return stat.isFile() && (stat.mode & 0o004) !== 0;
  } catch {
    return false;
  }
}

/**
 * Makes the /etc from which machines and pods start.
 * @param target directory to fill
 * @param sources directories laid out as /etc, later ones win (the machine's own, the tool cache's)
 */
export function buildEtc(target: string, sources: readonly string[]): void {
  mkdirSync(target, { recursive: true });
  const [machine, ...others] = sources;
  for (const name of COPIED) {
    const from = join(machine ?? "/etc", name);
    if (!existsSync(from) && !isLink(from)) continue;
    mkdirSync(join(target, name, ".."), { recursive: true });
    copy(from, join(target, name));
  }
  for (const source of others) if (existsSync(source)) copy(source, target);
  for (const [name, rest] of [
    ["passwd", "ID::/nonexistent:/usr/sbin/nologin"],
    ["group", ""],
  ] as const) {
    const own = systemAccounts(readFileSync(join(machine ?? "/etc", name), "utf8"));
    writeFileSync(join(target, name), withToolAccounts(own, rest));
  }
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

/** /etc/hosts of a machine that knows every other by name. */
export function hostsFile(
  self: string,
  machines: readonly { readonly name: string; readonly addresses: readonly string[] }[],
): string {
  const lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback", `127.0.1.1\t${self}.localdomain`];
  for (const { name, addresses } of machines) for (const address of addresses) lines.push(`${address}\t${name}`);
  return `${lines.join("\n")}\n`;
}

/** /etc/network/interfaces in ifupdown's format (interfaces(5)), saying what the machine was started with. */
export function interfacesFile(
  devices: readonly { readonly name: string; readonly addresses: readonly string[] }[],
  gateways: readonly string[],
): string {
  const lines = ["auto lo", "iface lo inet loopback"];
  for (const device of devices) {
    lines.push("", `auto ${device.name}`);
    for (const address of device.addresses) {
      const family = address.includes(":") ? "inet6" : "inet";
      lines.push(`iface ${device.name} ${family} static`, `    address ${address}`);
      const gateway = gateways.find((g) => g.includes(":") === address.includes(":"));
      if (gateway) lines.push(`    gateway ${gateway}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

/** /etc/sysctl.conf with the machine's settings (sysctl.conf(5)). */
export function sysctlFile(sysctls: Readonly<Record<string, string>>): string {
  return `${Object.entries(sysctls)
    .map(([name, value]) => `${name} = ${value}`)
    .join("\n")}\n`;
}
