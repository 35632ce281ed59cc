import { kubernetesVersion } from "#api/index.ts";
import { refused, sections, withoutEffect } from "./flagTable.ts";

const width = 100;

/** What --version prints. */
export function versionText(): string {
  return `Kubernetes ${kubernetesVersion}`;
}

/** What --help prints. */
export function helpText(): string {
  const head = `NAME
    kube-apiserver - the Kubernetes API, with the controllers and the scheduler in the same process

SYNOPSIS
    podwire kube-apiserver [--data-dir FOLDER] [--secure-port PORT] [flags]

DESCRIPTION
    Serves the Kubernetes API over TLS, alone or as the control plane of nodes. Certificates, keys
    and an administrator's kubeconfig that no flag names are made in --cert-dir. Without --data-dir
    the objects are in memory. SIGTERM and SIGINT end it.

    Flags have kube-apiserver's names and meanings.
`;
  const options = Object.entries(sections).map(([title, flags]) => {
    const lines = Object.entries(flags).map(([name, { value, help }]) => {
      const text = wrapped(help, 8);
      return `    --${name}${value ? `=${value}` : ""}\n${text}`;
    });
    return `${title.toUpperCase()}\n${lines.join("\n")}\n`;
  });
  const names = (table: object) =>
    wrapped(
      Object.keys(table)
        .sort()
        .map((name) => `--${name}`)
        .join(", "),
      4,
    );
  const rest = `ACCEPTED WITHOUT EFFECT
${names(withoutEffect)}

REFUSED, BECAUSE THEIR EFFECT IS MISSING
${names(refused)}
`;
  return [head, ...options, rest].join("\n").trimEnd();
}

function wrapped(text: string, indent: number): string {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && indent + last.length + 1 + word.length <= width) lines[lines.length - 1] += ` ${word}`;
    else lines.push(word);
  }
  return lines.map((line) => " ".repeat(indent) + line).join("\n");
}
