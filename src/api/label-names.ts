/** Forms of label keys and values, with apimachinery's wording (k8s.io/apimachinery/pkg/util/validation). */

const label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const subdomainPattern = new RegExp(`^${label}(\\.${label})*$`);
const part = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const partText =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/** What is wrong with a key of a label or annotation: `[prefix/]name`. */
export function labelKeyProblems(key: string): string[] {
  const parts = key.split("/");
  if (parts.length > 2) {
    return [`a valid label key ${partText} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const problems: string[] = [];
  const [prefix, name] = parts.length === 2 ? [parts[0] as string, parts[1] as string] : [undefined, key];
  if (prefix === "") problems.push("prefix part must be non-empty");
  else if (prefix !== undefined) problems.push(...prefixProblems(prefix));
  if (name === "") problems.push("name part must be non-empty");
  else if (name.length > 63) problems.push("name part must be no more than 63 characters");
  if (!part.test(name)) problems.push(`name part ${partText}`);
  return problems;
}

function prefixProblems(prefix: string): string[] {
  const problems = prefix.length > 253 ? ["prefix part must be no more than 253 characters"] : [];
  if (!subdomainPattern.test(prefix)) {
    problems.push(
      `prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${label}(\\.${label})*')`,
    );
  }
  return problems;
}

/** What is wrong with the value of a label. */
export function labelValueProblems(value: string): string[] {
  const problems = value.length > 63 ? ["must be no more than 63 characters"] : [];
  if (value !== "" && !part.test(value)) {
    problems.push(
      "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    );
  }
  return problems;
}
