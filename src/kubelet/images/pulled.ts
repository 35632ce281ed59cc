import type { ImageFacts } from "#images/index.ts";
import { signalNumber } from "./signals.ts";
import type { ContainerImage, ImageFile } from "./source.ts";
import { imageUser } from "./users.ts";

/** What runtimes set when an image does not (containerd, oci.WithDefaultPathEnv). */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** What every container's root has, whatever its image brings (OCI runtime-spec, config-linux.md, Default Devices). */
const FILES: readonly ImageFile[] = [
  { path: "/proc", folder: true },
  { path: "/sys", folder: true },
  { path: "/dev", folder: true },
  { path: "/dev/pts", folder: true },
  { path: "/dev/shm", folder: true, mode: 0o1777 },
  // What devices are mounted on, whatever the image has there: a link would be followed.
  ...["null", "zero", "full", "random", "urandom", "tty"].map((name) => ({ path: `/dev/${name}`, text: "" })),
  { path: "/dev/ptmx", link: "pts/ptmx" },
  { path: "/dev/fd", link: "/proc/self/fd" },
  { path: "/dev/stdin", link: "/proc/self/fd/0" },
  { path: "/dev/stdout", link: "/proc/self/fd/1" },
  { path: "/dev/stderr", link: "/proc/self/fd/2" },
];

/**
 * An image of the store as containers are started from it.
 * @param folder of the unpacked layers
 * @throws Error when the image's user is none of its own /etc/passwd
 */
export function pulledImage(
  reference: string,
  { imageId, layers, config, size }: ImageFacts,
  folder: string,
  pulled: { readonly ms: number; readonly withWaitingMs: number } | undefined,
): ContainerImage {
  const paths = layers.map((layer) => `${folder}/${layer}`);
  const { user, home } = imageUser(config.user, paths);
  const signal = config.stopSignal === undefined ? undefined : signalNumber(config.stopSignal);
  return {
    reference,
    id: imageId,
    entrypoint: config.entrypoint,
    cmd: config.cmd,
    env: { PATH: DEFAULT_PATH, HOME: home, ...Object.fromEntries(config.env) },
    workingDir: config.workingDir,
    ...(user ? { user } : {}),
    ...(signal === undefined ? {} : { stopSignal: signal }),
    files: FILES,
    layers: paths,
    mounts: [],
    ...(pulled ? { pulled: { ...pulled, size } } : {}),
  };
}
