import { kubernetesVersion } from "#api/index.ts";
import { flagLines, wrapText } from "#base/wrapText.ts";
import { availableModes } from "#services/index.ts";
import { ownFlags, sections, withoutEffect } from "./flagTable.ts";

/** What --version prints. */
export function versionText(): string {
  return `Kubernetes ${kubernetesVersion}`;
}

/** What --help prints. */
export function helpText(): string {
  const head = `NAME
    kube-proxy - puts the Services of a Kubernetes cluster into effect on a node

SYNOPSIS
    podwire kube-proxy --config FILE
    podwire kube-proxy [--kubeconfig FILE] [--proxy-mode MODE] [flags]

DESCRIPTION
    Follows Services and EndpointSlices of any Kubernetes API and keeps the rules of this network
    namespace as they want them. Without a kubeconfig it takes the service account of its pod. SIGTERM
    and SIGINT end it; the rules stay, and the next start goes on from them. --cleanup removes them.

    Flags have kube-proxy's names and meanings. Modes: ${availableModes.join(", ")}.
`;
  const all = { "What to do": ownFlags, ...sections };
  const options = Object.entries(all).map(([title, flags]) => {
    return `${title.toUpperCase()}\n${flagLines(flags)}\n`;
  });
  const names = Object.keys(withoutEffect).map((name) => `--${name}`);
  return [head, ...options, `ACCEPTED WITHOUT EFFECT\n${wrapText(names.join(", "), 4)}`].join("\n").trimEnd();
}
