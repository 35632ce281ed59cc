import type { MachineFacts, Trial } from "./facts.ts";

/** ok: as it should be. warn: podwire runs and lacks something. fail: no cluster starts. */
export type Verdict = "ok" | "warn" | "fail";

/** One thing looked at. */
export interface Finding {
  /** Stable name, for scripts. */
  readonly id: string;
  readonly verdict: Verdict;
  /** What is so. */
  readonly says: string;
  /** What is lost by it; absent when ok. */
  readonly costs?: string;
  /** One command that mends it; absent when ok, or when nothing mends it. */
  readonly mend?: string;
}

const oldestKernel = [5, 15] as const;
const oldestNode = 24;
/** A range of this many ids holds every id that the images of common pods use. */
const idsWanted = 65536;
const filesWanted = 8192;

const ok = (id: string, says: string): Finding => ({ id, verdict: "ok", says });

function kernelVersion(facts: MachineFacts): Finding {
  const [major = 0, minor = 0] = facts.kernel.split(".").map(Number);
  const [wantedMajor, wantedMinor] = oldestKernel;
  const enough = major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
  if (enough) return ok("kernel", `Linux ${facts.kernel}`);
  const says = `Linux ${facts.kernel} is older than ${oldestKernel.join(".")}`;
  return {
    id: "kernel",
    verdict: "warn",
    says,
    costs: "untried; overlays in user namespaces and parts of nftables may be missing",
  };
}

function nodeVersion(facts: MachineFacts): Finding {
  if (Number.parseInt(facts.node, 10) >= oldestNode) return ok("node", `Node ${facts.node}`);
  const says = `Node ${facts.node} is older than ${oldestNode}`;
  return { id: "node", verdict: "fail", says, costs: "podwire does not start", mend: "npm ci" };
}

/** The command that lets this user make user namespaces, by the switch that forbids it. */
function mendUserNamespaces(facts: MachineFacts): string | undefined {
  if (facts.unprivilegedClone === 0) return "sudo sysctl -w kernel.unprivileged_userns_clone=1";
  if (facts.maxUserNamespaces === 0) return "sudo sysctl -w user.max_user_namespaces=15000";
  if (facts.appArmorRestricts === 1) return appArmorProfile(facts.nodePath);
  return undefined;
}

/** Allows user namespaces to one program alone, as Ubuntu advises, rather than switching the protection off. */
function appArmorProfile(program: string): string {
  const profile = `abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile podwire "${program}" flags=(unconfined) {\\n  userns,\\n}\\n`;
  return `printf '${profile}' | sudo tee /etc/apparmor.d/podwire && sudo apparmor_parser -r /etc/apparmor.d/podwire`;
}

function userNamespaces(facts: MachineFacts): Finding {
  const id = "user-namespaces";
  const restricted = facts.uid !== 0 && facts.appArmorRestricts === 1;
  if (facts.userNamespace.ok && !restricted) return ok(id, "user namespaces may be made");
  const mend = mendUserNamespaces(facts) ?? "run as root: sudo npm start";
  if (facts.userNamespace.ok) {
    // The trial's own program may have a profile that Node lacks; unconfined programs get a namespace without rights.
    const says = "AppArmor restricts user namespaces of ordinary users";
    return { id, verdict: "warn", says, costs: "no cluster starts unless this Node is allowed", mend };
  }
  const says = `user namespaces are refused: ${facts.userNamespace.error ?? "unknown reason"}`;
  return { id, verdict: "fail", says, costs: "no cluster starts", mend };
}

function subordinateIds(facts: MachineFacts): Finding {
  const id = "subordinate-ids";
  if (facts.uid === 0) return ok(id, "not needed as root");
  const costs = "one user id in the whole cluster: chown fails, and daemons that drop privileges";
  if (!facts.idMappers) {
    const mend = "sudo apt-get install uidmap";
    return { id, verdict: "warn", says: "newuidmap and newgidmap are missing", costs, mend };
  }
  const { uids, gids, free } = facts.subordinateIds;
  if (Math.min(uids, gids) >= idsWanted) return ok(id, `${uids} subordinate uids, ${gids} gids`);
  const range = `${free}-${free + idsWanted - 1}`;
  const mend = `sudo usermod --add-subuids ${range} --add-subgids ${range} ${facts.user}`;
  const says = `${facts.user} has ${uids} subordinate uids and ${gids} gids, ${idsWanted} are wanted`;
  return { id, verdict: "warn", says, costs, mend };
}

function trial(id: string, what: string, result: Trial, costs: string, mend: string | undefined): Finding {
  if (result.ok) return ok(id, `${what} works`);
  const says = `${what} fails: ${result.error ?? "unknown reason"}`;
  return { id, verdict: "fail", says, costs, ...(mend === undefined ? {} : { mend }) };
}

const modules: Readonly<Record<string, string>> = {
  veth: "veth",
  bridge: "bridge",
  vxlan: "vxlan",
  nftables: "nf_tables",
};

function network(facts: MachineFacts): Finding[] {
  return Object.entries(facts.network).map(([kind, result]) => {
    const mend = modules[kind] === undefined ? undefined : `sudo modprobe ${modules[kind]}`;
    return trial(kind, `${kind} in a network namespace`, result, "no cluster starts", mend);
  });
}

function bridgeNetfilter(facts: MachineFacts): Finding {
  const id = "br-netfilter";
  if (facts.bridgeNetfilter) return ok(id, "bridged packets can pass the firewall hooks");
  const costs = "pods of one node reach each other through the node instead of the bridge, so that Services work";
  return { id, verdict: "warn", says: "br_netfilter is not loaded", costs, mend: "sudo modprobe br_netfilter" };
}

function tun(facts: MachineFacts): Finding {
  if (facts.tun === "open") return ok("tun", "/dev/net/tun opens");
  const says = facts.tun === "absent" ? "there is no /dev/net/tun" : "/dev/net/tun may not be opened by this user";
  const costs = "nothing today: the outside is off; a way to it would have to lead through the parent process";
  const mend = facts.tun === "absent" ? "sudo modprobe tun" : "sudo chmod 0666 /dev/net/tun";
  return { id: "tun", verdict: "warn", says, costs, mend };
}

function cgroups(facts: MachineFacts): Finding {
  if (facts.cgroups === "v2" || facts.cgroups === "hybrid") return ok("cgroups", `cgroups ${facts.cgroups}`);
  const says = facts.cgroups === "none" ? "no cgroups are mounted" : "cgroups are version 1";
  const mend = "sudo grubby --update-kernel=ALL --args=systemd.unified_cgroup_hierarchy=1";
  const costs = "pods have no cgroup of their own; resource limits do not bind";
  return { id: "cgroups", verdict: "warn", says, costs, ...(facts.cgroups === "none" ? {} : { mend }) };
}

/** Nobody needs it who does not ask for it: to be without is as it should be. */
function crun({ crun: path }: MachineFacts): Finding {
  if (path !== undefined) return ok("crun", `pods can run by crun (${path})`);
  return ok("crun", "no crun, which is only needed for pods that ask for it: sudo apt-get install crun");
}

function openFiles(facts: MachineFacts): Finding {
  if (facts.openFiles >= filesWanted) return ok("open-files", `${facts.openFiles} open files`);
  const says = `at most ${facts.openFiles} open files`;
  const mend = `sudo prlimit --pid $$ --nofile=${filesWanted}`;
  return { id: "open-files", verdict: "warn", says, costs: "clusters of some hundred pods run out of them", mend };
}

function tools(facts: MachineFacts): Finding {
  const { folder, there, missing } = facts.tools;
  if (missing.length === 0)
    return ok("tools", there ? `the machines' tools are in ${folder}` : "the host has all tools");
  const vital = missing.filter((name) => ["tini", "nginx"].includes(name));
  const mend = facts.apt ? "node scripts/setup.mjs" : "install them by the distribution's own means";
  const says = `missing: ${missing.join(", ")}`;
  const lost = missing.includes("tini")
    ? "no cluster starts"
    : missing.includes("nginx")
      ? "no ingress"
      : "these are missing on nodes and in pods";
  return { id: "tools", verdict: vital.includes("tini") ? "fail" : "warn", says, costs: lost, mend };
}

/** Judges what was found; no look at the machine. Order: from what stops everything to what is seldom missed. */
export function judge(facts: MachineFacts): Finding[] {
  const ubuntu = facts.appArmorRestricts === 1 && facts.uid !== 0 ? appArmorProfile(facts.nodePath) : undefined;
  return [
    kernelVersion(facts),
    nodeVersion(facts),
    userNamespaces(facts),
    subordinateIds(facts),
    trial("overlay", "an overlay in a user namespace", facts.overlay, "no cluster starts", ubuntu),
    ...network(facts),
    bridgeNetfilter(facts),
    tools(facts),
    cgroups(facts),
    tun(facts),
    crun(facts),
    openFiles(facts),
  ];
}

/** The worst of the findings. */
export function worst(findings: readonly Finding[]): Verdict {
  const verdicts = findings.map((finding) => finding.verdict);
  return verdicts.includes("fail") ? "fail" : verdicts.includes("warn") ? "warn" : "ok";
}
