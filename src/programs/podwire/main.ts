import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { nodeOptions, programFile, proxyNodeOptions } from "#base/entry.ts";
import { PodwireError } from "#base/errors.ts";
import { version } from "#base/version.ts";
import { checkName, defaults, labProxyModes } from "#lab/config/index.ts";
import { addCni } from "./cniCommands.ts";
import { addDnsExplain } from "./dnsCommands.ts";
import { runExec, runShell } from "./enter.ts";
import { addImages } from "./imageCommands.ts";
import { type NodeAction, runNodeAdd, runNodeChange } from "./node.ts";
import { runDown, runKubeconfig, runStatus } from "./query.ts";
import { addRun } from "./runCommands.ts";
import { addServices } from "./serviceCommands.ts";
import { runUp, type UpFlags } from "./up.ts";

/** Exit code of a command line that is not understood. */
const USAGE = 2;

function integer(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("allowed is a whole number");
  return Number(text);
}

/** A name becomes a folder's, so that every command is as strict as `up`. */
function clusterName(text: string): string {
  checkName(text);
  return text;
}

const nameOption = (): Option =>
  new Option("--name <name>", "name of the cluster").argParser(clusterName).default(defaults.name);

function program(): Command {
  const podwire = new Command("podwire")
    .description("The network of a Kubernetes cluster on one Linux machine: real packets, every hop explained.")
    .version(version)
    .enablePositionalOptions()
    .exitOverride();
  podwire
    .command("up")
    .description("bring a cluster up and stay until Ctrl-C")
    .addOption(nameOption().default(undefined))
    .option("--nodes <n>", "number of nodes, the control plane included", integer)
    .option("--config <file>", "read the cluster's configuration from a YAML file; flags win")
    .option("--pod-cidr <cidr>", "addresses of pods; two, separated by a comma, for dual stack")
    .option("--service-cidr <cidr>", "addresses of Services")
    .option("--node-cidr <cidr>", "addresses of nodes")
    .option("--node-cidr-mask-size-ipv4 <n>", "prefix length of a node's part of the IPv4 pod addresses", integer)
    .option("--node-cidr-mask-size-ipv6 <n>", "the same of IPv6", integer)
    .option("--max-pods <n>", "pods that a node takes at most", integer)
    .addOption(new Option("--ingress <kind>", "ingress controller").choices(["nginx", "none"]))
    .addOption(new Option("--example <name>", "application to start").choices(["online-store", "none"]))
    .addOption(
      new Option("--outside <switch>", "whether pods and nodes reach what this host reaches, by TCP and UDP").choices([
        "on",
        "off",
      ]),
    )
    .option("--pods <n>", "start this many additional echo pods", integer)
    .addOption(
      new Option("--runtime <name>", "what starts containers, unless a pod's RuntimeClass says it").choices([
        "podwire",
        "crun",
      ]),
    )
    .option(
      "--privileged",
      "as root only, without a user namespace: for the modes ebpf and ipvs of Services and limits of pods",
    )
    .addOption(
      new Option("--proxy-mode <mode>", "how nodes put Services into effect (ConfigMap kube-proxy)").choices(
        labProxyModes,
      ),
    )
    .option("--api-port <port>", "port of the API server, at the cluster's own 127.x.y.1", integer)
    .option("--ingress-port <port>", "port of the ingress on 127.0.0.1", integer)
    .option("--data-dir <folder>", "keep the cluster in this folder beyond its end; up again with it goes on")
    .option("--no-install", "install nothing, use what the machine has")
    .action(async (flags: UpFlags) => process.exit(await runUp(flags)));
  podwire.command("down").description("take a cluster down").addOption(nameOption()).action(runDown);
  podwire
    .command("status")
    .description("say how a cluster is")
    .addOption(nameOption())
    .option("--json", "as JSON")
    .action(runStatus);
  podwire
    .command("kubeconfig")
    .description("print the path of a cluster's kubeconfig")
    .addOption(nameOption())
    .action(runKubeconfig);
  podwire
    .command("shell <target>")
    .description("open a shell on a node, or in a pod (namespace/pod)")
    .addOption(nameOption())
    .action(async (target: string, flags: { name: string }) => process.exit(await runShell(target, flags)));
  podwire
    .command("exec <node> [command...]")
    .description("run a command on a node: podwire exec node01 -- ip route")
    .addOption(nameOption())
    .action(async (node: string, command: string[], flags: { name: string }) =>
      process.exit(await runExec(node, command, flags)),
    );
  addNodeCommands(podwire);
  podwire
    .command("check")
    .description("prove with packets that the cluster's network is as it should be")
    .argument("[what]", "pods (connectivity), ports (required ports), or all", "all")
    .addOption(nameOption())
    .option("--json", "as JSON")
    .action(async (what: string, flags: { name: string; json?: boolean }) => {
      const { runCheck } = await import("./check.ts");
      process.exit(await runCheck(what, flags));
    });
  podwire
    .command("doctor")
    .description("say what this machine offers and what each missing thing costs")
    .option("--json", "as JSON")
    .action(async (flags: { json?: boolean }) => {
      const { runDoctorCommand } = await import("./doctor.ts");
      process.exit(await runDoctorCommand(flags));
    });
  addServices(podwire, nameOption);
  addCni(podwire, nameOption);
  addImages(podwire);
  addRun(podwire, nameOption, integer);
  const dns = podwire
    .command("dns [flags...]")
    .description("serve DNS on this machine as a Corefile says; flags are CoreDNS' own (-conf, -dns.port, …)")
    // CoreDNS' flags have one dash, --help among them: the server reads them itself.
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (flags: string[]) => {
      const { runDns } = await import("../dns/run.ts");
      process.exit(await runDns(flags));
    });
  addDnsExplain(dns, nameOption);
  becomes(
    "kube-apiserver",
    podwire
      .command("kube-apiserver [flags...]")
      .description("serve the Kubernetes API alone; flags are kube-apiserver's own (--secure-port, --data-dir, …)"),
  );
  becomes(
    "kube-proxy",
    podwire
      .command("kube-proxy [flags...]")
      .description("put a cluster's Services into effect on this machine; flags are kube-proxy's own (--config, …)"),
  );
  for (const command of podwire.commands.filter(({ commands }) => commands.length === 0)) {
    const names = command.options.map((option) => option.long).join(", ");
    command.showHelpAfterError(`(podwire ${command.name()} ${command.usage()}; options are ${names})`);
  }
  return podwire.showHelpAfterError(`(commands are ${podwire.commands.map((c) => c.name()).join(", ")})`);
}

/** A command whose program takes this one's place, and reads the flags: signals and exit codes are its own. */
function becomes(name: string, command: Command): void {
  command
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action((flags: string[]) => {
      const options = name === "kube-proxy" ? proxyNodeOptions : nodeOptions;
      process.execve?.(process.execPath, [process.execPath, ...options, programFile(name), ...flags], process.env);
    });
}

const nodeActions: Readonly<Record<NodeAction, string>> = {
  rm: "remove a node, its disk and its Node object",
  stop: "cut a node's power: its processes and its network are gone, its disk stays",
  start: "start a node that was stopped, or let a paused one go on",
  pause: "let a node's processes stand still",
};

function addNodeCommands(podwire: Command): void {
  const node = podwire.command("node").description("add, remove, stop, start and pause nodes of a running cluster");
  node
    .command("add [node]")
    .description("add a worker and wait until it is ready")
    .addOption(nameOption())
    .option("--address <ip>", "its address on the node network; two, separated by a comma, for dual stack")
    .option("--json", "as JSON")
    .action(runNodeAdd);
  for (const [action, description] of Object.entries(nodeActions) as [NodeAction, string][])
    node
      .command(`${action} <node>`)
      .description(description)
      .addOption(nameOption())
      .option("--json", "as JSON")
      .action((name: string, flags: { name: string; json?: boolean }) => runNodeChange(action, name, flags));
}

async function main(): Promise<void> {
  // Folders have to be entered again, whatever the caller's umask; what is private says so by its own mode.
  process.umask(0o022);
  try {
    await program().parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : USAGE);
    const prefix =
      error instanceof PodwireError || (error as { code?: unknown }).code !== undefined ? "" : "unexpected: ";
    process.stderr.write(`podwire: ${prefix}${(error as Error).message}\n`);
    if (prefix && process.env["PODWIRE_DEBUG"]) process.stderr.write(`${(error as Error).stack}\n`);
    process.exit(error instanceof PodwireError && error.code === "InvalidConfig" ? USAGE : 1);
  }
}

void main();
