import type { Command, Option } from "commander";

const EXAMPLES = `
An address is explained as the rules of one node see it: the node that --node names, else that of the pod of --from, else
that which has the address, else the control plane. Without --from the answer is for pods, the node and others alike.

  podwire services explain web
  podwire services explain shop/web:http --from client --namespace shop
  podwire services explain 10.96.0.10:53/udp
  podwire services explain 192.168.1.11:30080 --json

Exit code: 0 with an answer, 1 when there is no such Service or address, or no proxy acts on it, 2 for a wrong command line.`;

/** `podwire services …` @param nameOption makes the option that names a cluster */
export function addServices(podwire: Command, nameOption: () => Option): void {
  const services = podwire.command("services").description("say what nodes do for Services, and why");
  const explain = services
    .command("explain <what>")
    .description("explain a Service, or ip:port[/protocol]: policy, endpoints, masquerading, each with its field")
    .addOption(nameOption())
    .option("--from <pod>", "who connects: a pod, or namespace/pod")
    .option("-n, --namespace <namespace>", "namespace of what is given without one", "default")
    .option("--node <node>", "whose rules")
    .option("--json", "as JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (what: string, flags) => (await import("./services.ts")).runExplain(what, flags));
  services.exitOverride().showHelpAfterError("(the command is explain)");
  const names = explain.options.map((option) => option.long).join(", ");
  explain.exitOverride().showHelpAfterError(`(podwire services explain ${explain.usage()}; options are ${names})`);
}
