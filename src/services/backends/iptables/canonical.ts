/**
 * A rule in the form in which two writings of it are the same text: ours, and those of the versions and flavours of
 * iptables-save. They differ in the order of matches, in defaults that are said or not, in the form of marks,
 * probabilities and host addresses. A writing that is not known makes a rule look different, which costs writing it
 * once more; different rules never look the same. Pure.
 * @param rule without `-A chain`
 */
export function canonicalRule(rule: string): string {
  const options: string[] = [];
  let option = "";
  let value = "";
  let isQuoted = false;
  for (const word of rule.split(" ")) {
    // A quoted text may have any words in it; "!" belongs to the option after it.
    if (!isQuoted && option !== "! " && (word === "!" || word.startsWith("-"))) {
      if (option !== "") add(options, option, value);
      option = word === "!" ? "! " : word;
      value = "";
    } else if (option === "! ") option += word;
    else {
      value = value === "" ? word : `${value} ${word}`;
      if (word.startsWith('"')) isQuoted = true;
      if (isQuoted && word.endsWith('"') && !word.endsWith('\\"') && value !== '"') isQuoted = false;
    }
  }
  if (option !== "") add(options, option, value);
  return options.sort().join("\n");
}

/** Matches that only make the options of a protocol known, which stand beside `-p` of the same name. */
const protocolMatches = new Set(["tcp", "udp", "sctp"]);

/** What iptables-save says though nobody asked for it. */
const defaults = new Set([
  ...["--mask 255.255.255.255", "--mask ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "--rsource "],
  ...["--reject-with icmp-port-unreachable", "--reject-with icmp6-port-unreachable"],
  ...["-s 0.0.0.0/0", "-s ::/0"],
]);

/** Parts of a probability as the kernel has it. */
const PROBABILITY_UNITS = 2 ** 31;

function add(options: string[], option: string, value: string): void {
  if (option === "-m" && protocolMatches.has(value)) return;
  const text = canonicalOption(option, value.startsWith('"') ? value.slice(1, -1) : value);
  if (!defaults.has(text)) options.push(text);
}

function canonicalOption(option: string, value: string): string {
  switch (option) {
    case "-s":
    case "-d":
    case "! -s":
    case "! -d": {
      const host = value.includes(":") ? "/128" : "/32";
      return `${option} ${value.endsWith(host) ? value.slice(0, -host.length) : value}`;
    }
    case "--probability":
      return `${option} ${Math.round(Number(value) * PROBABILITY_UNITS)}`;
    case "--or-mark":
      return `--set-xmark ${value}/${value}`;
    case "--xor-mark":
      return `--set-xmark ${value}/0x0`;
    default:
      return `${option} ${value}`;
  }
}
