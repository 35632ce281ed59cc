import { kubernetesVersion } from "#api/index.ts";
import { flagLines, wrapText } from "#base/wrapText.ts";
import { refused, sections, withoutEffect } from "./flagTable.ts";

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
    return `${title.toUpperCase()}\n${flagLines(flags)}\n`;
  });
  const names = (table: object) =>
    wrapText(
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
