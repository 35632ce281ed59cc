import type { WriteOptions } from "./objects.ts";

/** How this server itself writes. */
export const ownWrite: WriteOptions = {
  user: { name: "system:apiserver", groups: ["system:masters"] },
  manager: "kube-apiserver",
  dryRun: false,
  subresource: "",
  warn: () => {},
};
