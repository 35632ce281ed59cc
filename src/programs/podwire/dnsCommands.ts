import { type Command, Option } from "commander";

const EXAMPLES = `
Says, without sending a packet, what a lookup in a pod comes to: /etc/hosts, each name that the search list makes, each
server, which plugin or object answers and why, and what ndots costs. Without --from the answer is for a pod of the
namespace with dnsPolicy ClusterFirst.

  podwire dns explain web --namespace shop
  podwire dns explain example.com --from shop/client
  podwire dns explain web.shop --resolver musl --json
  podwire dns explain web --resolver nslookup --fail
  podwire dns explain db --resolv-conf /etc/resolv.conf --hosts /etc/hosts --nsswitch /etc/nsswitch.conf

Exit code: 0 with an answer, whatever it is, 1 when there is no such pod, 2 for a wrong command line.`;

/** `podwire dns explain …` @param nameOption makes the option that names a cluster */
export function addDnsExplain(dns: Command, nameOption: () => Option): void {
  const explain = dns
    .command("explain <name>")
    .description("say what a lookup of a name sends, who answers, and why")
    .addOption(nameOption())
    .option("--from <pod>", "who looks it up: a pod, or namespace/pod")
    .option("-n, --namespace <namespace>", "namespace of a pod without one", "default")
    .addOption(
      new Option("--resolver <tool>", "whose rules are followed")
        .choices(["glibc", "musl", "nslookup", "host", "dig"])
        .default("glibc"),
    )
    .option("--fail", "nslookup -fail, host -s: SERVFAIL ends it, as it does with dig by itself")
    .option("--no-fail", "dig +nofail: the next server after SERVFAIL, as nslookup and host do by themselves")
    .option("--resolv-conf <file>", "this file instead of a pod's /etc/resolv.conf")
    .option("--hosts <file>", "this file instead of a pod's /etc/hosts")
    .option("--nsswitch <file>", "this file as /etc/nsswitch.conf; without it files come before dns")
    .option("--json", "as JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (what: string, flags) => (await import("./dns.ts")).runDnsExplain(what, flags));
  const names = explain.options.map((option) => option.long).join(", ");
  explain.exitOverride().showHelpAfterError(`(podwire dns explain ${explain.usage()}; options are ${names})`);
}
