/** Settings of the DNS server's command line, under CoreDNS' names. */
export interface DnsFlags {
  readonly corefile: string;
  readonly port: number;
  readonly quiet: boolean;
  readonly pidfile?: string;
  /** Print something and end. */
  readonly show?: "version" | "plugins" | "help";
}

/** What a wrong command line says. */
export class FlagError extends Error {}

/** The help text. */
export const dnsUsage = `Usage: podwire dns [-conf FILE] [-dns.port N]

Serves DNS as a Corefile says.

  -conf FILE      the Corefile (default ./Corefile); stdin reads it from standard input
  -dns.port N     port for server blocks that name none (default 53); also -p
  -quiet          do not log the start
  -pidfile FILE   write the process id to this file, which is removed at the end
  -plugins        list the plugins and end
  -version        print the version and end

SIGTERM ends it after health's lameduck time, SIGINT and SIGQUIT at once; SIGUSR1 reads the Corefile again.

\`podwire dns explain NAME\` says what a lookup in a pod sends, who answers, and why; see its --help.
`;

const valued = new Map<string, "conf" | "port" | "pidfile">([
  ["conf", "conf"],
  ["dns.port", "port"],
  ["p", "port"],
  ["pidfile", "pidfile"],
]);

/**
 * Reads flags as Go programs do: one dash or two, `-name value` or `-name=value`.
 * @throws FlagError naming the flag and those there are
 */
export function parseDnsFlags(argv: readonly string[]): DnsFlags {
  const values: { conf?: string; port?: string; pidfile?: string } = {};
  let quiet = false;
  let show: DnsFlags["show"];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    const [, name, inline] = /^--?([a-z.]+)(?:=(.*))?$/.exec(word) ?? [];
    const key = valued.get(name ?? "");
    if (key !== undefined) {
      const value = inline ?? argv[++i];
      if (value === undefined) throw new FlagError(`flag needs a value: -${name}`);
      values[key] = value;
    } else if (name === "quiet") quiet = true;
    else if (name === "version" || name === "plugins") show = name;
    else if (name === "h" || name === "help") show = "help";
    else
      throw new FlagError(`unknown flag ${word}; allowed: -conf, -dns.port, -p, -quiet, -pidfile, -plugins, -version`);
  }
  const port = values.port ?? "53";
  if (!/^\d+$/.test(port) || Number(port) > 65535)
    throw new FlagError(`-dns.port ${port}; expected a number from 0 to 65535`);
  return {
    corefile: values.conf ?? "Corefile",
    port: Number(port),
    quiet,
    ...(values.pidfile !== undefined && { pidfile: values.pidfile }),
    ...(show && { show }),
  };
}
