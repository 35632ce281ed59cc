/** Forms of names, with apimachinery's wording (k8s.io/apimachinery/pkg/util/validation). */

const label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const labelPattern = new RegExp(`^${label}$`);
const subdomainPattern = new RegExp(`^${label}(\\.${label})*$`);
const dns1035Pattern = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;

/** A name that will get a random suffix may end in `-`. */
function masked(name: string, prefix: boolean): string {
  return prefix && name.length > 1 && name.endsWith("-") ? `${name.slice(0, -1)}a` : name;
}

/** RFC 1123 label, at most 63. */
export function dnsLabel(name: string, prefix = false): string[] {
  const problems = name.length > 63 ? ["must be no more than 63 characters"] : [];
  if (!labelPattern.test(masked(name, prefix))) {
    problems.push(
      `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${label}')`,
    );
  }
  return problems;
}

/** RFC 1123 subdomain, at most 253. */
export function dnsSubdomain(name: string, prefix = false): string[] {
  const problems = name.length > 253 ? ["must be no more than 253 characters"] : [];
  if (!subdomainPattern.test(masked(name, prefix))) {
    problems.push(
      `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${label}(\\.${label})*')`,
    );
  }
  return problems;
}

/** RFC 1035 label, at most 63: names of Services. */
export function dns1035Label(name: string, prefix = false): string[] {
  const problems = name.length > 63 ? ["must be no more than 63 characters"] : [];
  if (!dns1035Pattern.test(masked(name, prefix))) {
    problems.push(
      "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
    );
  }
  return problems;
}

/** What may stand in a URL path: names of RBAC objects. */
export function pathSegment(name: string): string[] {
  if (name === ".") return ["may not be '.'"];
  if (name === "..") return ["may not be '..'"];
  const bad = ["/", "%"].filter((c) => name.includes(c));
  return bad.map((c) => `may not contain '${c}'`);
}

/** `*.example.com`. */
export function wildcardSubdomain(name: string): string[] {
  if (name.length <= 253 && name.startsWith("*.") && subdomainPattern.test(name.slice(2))) return [];
  return [
    `a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.${label}(\\.${label})*')`,
  ];
}

export { labelKeyProblems as qualifiedName, labelValueProblems as labelValue } from "#api/index.ts";

/** A key of a ConfigMap or Secret: a file name. */
export function configKey(key: string): string[] {
  const problems = key.length > 253 ? ["must be no more than 253 characters"] : [];
  if (!/^[-._a-zA-Z0-9]+$/.test(key)) {
    problems.push(
      "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
    );
  }
  if (key === ".") problems.push("must not be '.'");
  if (key === "..") problems.push("must not be '..'");
  else if (key.startsWith("..")) problems.push("must not start with '..'");
  return problems;
}

/** The name of an environment variable (relaxed since 1.34). */
export function envName(name: string): string[] {
  if (/^[ -<>-~]+$/.test(name)) return [];
  return ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
}

/** A port's number. */
export function portNumber(port: unknown): string[] {
  if (typeof port === "number" && Number.isInteger(port) && port >= 1 && port <= 65535) return [];
  return ["must be between 1 and 65535, inclusive"];
}

/** A port's name: RFC 6335 service name. */
export function portName(name: string): string[] {
  const problems: string[] = [];
  if (name.length > 15) problems.push("must be no more than 15 characters");
  if (!/^[-a-z0-9]+$/.test(name))
    problems.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  if (!/[a-z]/.test(name)) problems.push("must contain at least one letter (a-z)");
  if (name.includes("--")) problems.push("must not contain consecutive hyphens");
  if (name.startsWith("-") || name.endsWith("-")) problems.push("must not begin or end with a hyphen");
  return problems;
}
