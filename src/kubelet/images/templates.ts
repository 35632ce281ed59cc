import { createHash } from "node:crypto";
import { accessSync, readFileSync } from "node:fs";
import { familiarName, parseWithTag } from "#images/index.ts";
import type { Mount } from "#kernel/mounts/index.ts";
import { baseFiles } from "./baseFiles.ts";
import { checkName, neverPulled } from "./names.ts";
import { NGINX_HTML, nginxFiles } from "./nginx.ts";
import { type ContainerImage, ImageError, type ImageFile, type ImageSource, type ImageWish } from "./source.ts";

/** How a pod runs one of Podwire's own programs. */
export interface ProgramPaths {
  /** Folder that is bound read-only at the same path in every pod, e.g. `/opt/podwire`. */
  readonly folder: string;
  /** Command that runs a program, e.g. `["/opt/podwire/bin/node", "/opt/podwire/dist/dns.cjs"]`. */
  readonly command: (program: string) => readonly string[];
}

/** What the templates are made over. */
export interface TemplateOptions {
  readonly programs: ProgramPaths;
  /** Whether a second user exists in the user namespace; see hasManyUsers(). */
  readonly manyUsers: boolean;
  /** Where the machine's own files are. Default `/`. */
  readonly root?: string;
}

interface Template {
  readonly name: string;
  /** It is a part of Podwire's: no registry is asked for it. Else it stands in for an image that cannot be had. */
  readonly own?: true;
  /** Repositories that mean this template, tags and digests aside. */
  readonly repositories: readonly string[];
  /** Files of the machine without which it cannot run. */
  readonly needs: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly files: readonly ImageFile[];
  readonly mounts: readonly Mount[];
  readonly served?: "echo";
}

/** Names that a template stands in for besides its own. */
export type TemplateTable = Readonly<Record<string, readonly string[]>>;

/** A name of the configuration as familiar names are written; undefined for what is none. */
function plainName(text: string): string | undefined {
  try {
    return familiarName(parseWithTag(text));
  } catch {
    return undefined;
  }
}

/** Whether this process's user namespace has more users than root (user_namespaces(7), uid_map). */
export function hasManyUsers(uidMap = readFileSync("/proc/self/uid_map", "utf8")): boolean {
  return uidMap
    .trim()
    .split("\n")
    .some((line) => Number(line.trim().split(/\s+/)[2]) > 65534);
}

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const PAGES = "/.podwire/nginx-html";

/** What is no program is an argument of curl's: `-- https://…` does what it says. */
const CURL = `#!/bin/sh
command -v "$1" >/dev/null 2>&1 || set -- curl "$@"
exec "$@"
`;

/** A script as a file of the root, so that a command line written for the real image finds its program. */
function script(path: string, command: readonly string[]): ImageFile {
  return { path, text: `#!/bin/sh\nexec ${command.join(" ")} "$@"\n`, mode: 0o755 };
}

function templates({ programs, manyUsers }: TemplateOptions): readonly Template[] {
  const plain = { needs: [], mounts: [], files: [] };
  return [
    {
      ...plain,
      name: "podwire/toolbox",
      own: true,
      repositories: ["podwire/toolbox"],
      entrypoint: [],
      // With a terminal a shell, else something that stays until it is told to end.
      cmd: ["/bin/sh", "-c", "if [ -t 0 ]; then exec /bin/bash; fi; trap 'exit 0' TERM; sleep infinity & wait"],
    },
    {
      ...plain,
      // The images that people reach for to look around in a cluster: the same tools, started as those images are.
      name: "busybox",
      repositories: ["busybox", "nicolaka/netshoot"],
      entrypoint: [],
      cmd: ["sh"],
    },
    {
      ...plain,
      name: "podwire/echo",
      own: true,
      repositories: ["podwire/echo"],
      entrypoint: ["/usr/bin/sleep"],
      cmd: ["infinity"],
      served: "echo",
    },
    {
      ...plain,
      name: "nginx",
      repositories: ["nginx"],
      needs: ["/usr/sbin/nginx"],
      entrypoint: [],
      cmd: ["nginx", "-g", "daemon off;"],
      files: nginxFiles(manyUsers ? "www-data" : "root", PAGES),
      mounts: [{ target: NGINX_HTML, type: "bind", source: `{root}${PAGES}`, optional: true }],
    },
    {
      ...plain,
      name: "podwire/dns",
      own: true,
      repositories: ["podwire/dns", "coredns/coredns", "registry.k8s.io/coredns/coredns", "registry.k8s.io/coredns"],
      entrypoint: ["/coredns"],
      cmd: [],
      files: [script("/coredns", programs.command("dns"))],
    },
    {
      ...plain,
      name: "podwire/ingress",
      own: true,
      repositories: [
        "podwire/ingress",
        "quay.io/kubernetes-ingress-controller/nginx-ingress-controller",
        "registry.k8s.io/ingress-nginx/controller",
      ],
      needs: ["/usr/sbin/nginx"],
      entrypoint: [],
      cmd: ["/nginx-ingress-controller"],
      files: [
        ...nginxFiles(manyUsers ? "www-data" : "root", PAGES).filter((f) => !f.path.startsWith("/.podwire")),
        script("/nginx-ingress-controller", programs.command("ingress")),
      ],
    },
    {
      ...plain,
      name: "alpine",
      repositories: ["alpine", "bash", "debian", "ubuntu"],
      entrypoint: [],
      cmd: ["/bin/sh"],
    },
    {
      ...plain,
      name: "curl",
      repositories: ["curlimages/curl", "quay.io/curl/curl"],
      needs: ["/usr/bin/curl"],
      entrypoint: ["/entrypoint.sh"],
      cmd: ["curl"],
      files: [{ path: "/entrypoint.sh", text: CURL, mode: 0o755 }],
    },
    {
      ...plain,
      name: "agnhost",
      repositories: ["registry.k8s.io/e2e-test-images/agnhost", "k8s.gcr.io/e2e-test-images/agnhost"],
      entrypoint: ["/agnhost"],
      cmd: ["pause"],
      files: [script("/agnhost", programs.command("agnhost"))],
    },
    {
      ...plain,
      name: "pause",
      repositories: ["registry.k8s.io/pause", "k8s.gcr.io/pause"],
      entrypoint: ["/pause"],
      cmd: [],
      files: [script("/pause", ["/usr/bin/sleep", "infinity"])],
    },
  ];
}

/** Parts of the machine's own files that every template shows, all read-only. */
function baseMounts(programs: ProgramPaths, root: string): readonly Mount[] {
  const shown = (path: string, optional = true): Mount => ({
    target: path,
    type: "bind",
    source: `${root}${path}`,
    readonly: true,
    nosuid: true,
    nodev: true,
    optional,
  });
  return [
    { ...shown("/usr", false), recursive: true },
    // Debian's generic names (awk, nc, …) lead through this folder.
    shown("/etc/alternatives"),
    shown("/etc/ssl"),
    shown("/etc/ld.so.cache"),
    shown("/etc/iproute2"),
    { ...shown(programs.folder), source: programs.folder, recursive: true },
  ];
}

/** The images that are templates over the machine's own files. */
export class TemplateImages implements ImageSource {
  readonly #templates: readonly Template[];
  readonly #base: readonly ImageFile[];
  readonly #mounts: readonly Mount[];
  readonly #root: string;

  /** @throws Error when /etc/passwd or /etc/group cannot be read */
  constructor(options: TemplateOptions) {
    const root = options.root ?? "";
    this.#templates = templates(options);
    this.#base = baseFiles(`${root}/etc`);
    this.#mounts = baseMounts(options.programs, root);
    this.#root = root;
  }

  /** One of Podwire's own images; undefined for any other name. @throws ImageError */
  own(reference: string): ContainerImage | undefined {
    const template = this.#find(reference, {});
    return template?.own ? this.#image(reference, template) : undefined;
  }

  /** The template that a name means. @param table further names, by template */
  nameFor(reference: string, table: TemplateTable): string | undefined {
    return this.#find(reference, table)?.name;
  }

  /**
   * What stands in for an image that cannot be had; undefined where there is no template of its name.
   * @param why the failure of the registry; absent when it was not to be asked
   * @throws ImageError
   */
  standIn(reference: string, table: TemplateTable, why: string | undefined): ContainerImage | undefined {
    const template = this.#find(reference, table);
    return template && this.#image(reference, template, why);
  }

  /** The images of a node for which nobody pulls any. */
  async pull({ reference, policy }: ImageWish): Promise<ContainerImage> {
    checkName(reference);
    const template = this.#find(reference, {});
    if (!template && policy === "Never") throw neverPulled(reference);
    if (!template) {
      const known = this.#templates.map((t) => t.name).join(", ");
      const message = `failed to pull image "${reference}": no registry is configured and no template has this name (templates: ${known})`;
      throw new ImageError("ErrImagePull", message);
    }
    return this.#image(reference, template);
  }

  list(): readonly { readonly names: readonly string[]; readonly sizeBytes: number }[] {
    return this.#templates.map((t) => ({ names: t.repositories, sizeBytes: 0 }));
  }

  #find(reference: string, table: TemplateTable): Template | undefined {
    const name = familiarName(parseWithTag(reference));
    const means = (names: readonly string[]) => names.some((given) => given === name || plainName(given) === name);
    return this.#templates.find((t) => t.repositories.includes(name) || means(table[t.name] ?? []));
  }

  #need(name: string, path: string): void {
    try {
      accessSync(this.#root + path);
    } catch {
      const message = `template ${name} needs ${path}, which this machine does not have; "podwire doctor" says how to get it`;
      throw new ImageError("ErrImagePull", message);
    }
  }

  #image(reference: string, template: Template, why?: string): ContainerImage {
    for (const path of template.needs) this.#need(template.name, path);
    const files = [...this.#base, ...template.files];
    const digest = createHash("sha256")
      .update(JSON.stringify([template.entrypoint, template.cmd, files]))
      .digest("hex");
    return {
      reference,
      id: `podwire-template://${template.name}@sha256:${digest}`,
      entrypoint: template.entrypoint,
      cmd: template.cmd,
      env: { PATH },
      workingDir: "/",
      files,
      mounts: [...this.#mounts, ...template.mounts],
      notice: {
        reason: "ImageTemplate",
        message: `Image "${reference}" is the template ${template.name} over this machine's own files, not pulled from a registry${why === undefined ? "" : `: ${why}`}`,
      },
      ...(template.served ? { served: template.served } : {}),
    };
  }
}
