import type { Container } from "#api/index.ts";
import { type ContainerImage, ImageError, parseReference } from "../images/index.ts";
import type { PodDeps } from "./deps.ts";

/** Policy that counts when the pod names none: a tag `latest` is asked for anew each time (as upstream). */
export function pullPolicy(container: Container): "Always" | "IfNotPresent" | "Never" {
  if (container.imagePullPolicy) return container.imagePullPolicy;
  const tag = /:([^/:@]+)(@.*)?$/.exec(container.image ?? "")?.[1];
  return tag === undefined || tag === "latest" ? "Always" : "IfNotPresent";
}

/**
 * What is wrong with an image's name, in the words of distribution's reference parser; undefined when nothing is.
 * Names of Docker Hub's own images are told with the folder that they stand for.
 */
export function imageNameFault(image: string): string | undefined {
  if (parseReference(image)) return undefined;
  const [head = "", ...rest] = image.split("/");
  const hasHost = rest.length > 0 && (/[.:]/.test(head) || head === "localhost" || head.toLowerCase() !== head);
  const path = hasHost ? rest.join("/") : rest.length > 0 ? image : `library/${image}`;
  const name = path.split(/[:@]/)[0] ?? "";
  const isUpper = name.toLowerCase() !== name;
  return `invalid reference format${isUpper ? `: repository name (${name}) must be lowercase` : ""}`;
}

/** The image of a container, got by its policy. @throws ImageError */
export async function containerImage(deps: Pick<PodDeps, "images">, container: Container): Promise<ContainerImage> {
  const { image = "" } = container;
  const fault = imageNameFault(image);
  if (fault !== undefined) {
    const message = `Failed to apply default image tag "${image}": couldn't parse image name "${image}": ${fault}`;
    throw new ImageError("InvalidImageName", message);
  }
  const policy = pullPolicy(container);
  try {
    return await deps.images.pull(image, policy);
  } catch (error) {
    if (policy !== "Never" || !(error instanceof ImageError)) throw error;
    const message = `Container image "${image}" is not present with pull policy of Never`;
    throw new ImageError("ErrImageNeverPull", message);
  }
}
