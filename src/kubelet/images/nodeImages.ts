import { existsSync } from "node:fs";
import path from "node:path";
import { appRoot, distDirectory, nodeOptions } from "#base/entry.ts";
import { ClusterImages, type ClusterImagesOptions } from "./clusterImages.ts";
import type { ImageSource } from "./source.ts";
import { hasManyUsers, TemplateImages } from "./templates.ts";

/**
 * Images as somebody pulls them for this node; templates alone where nobody does.
 * @param onChange other images are listed than before
 */
export function nodeImages(options: ClusterImagesOptions | undefined, onChange: () => void): ImageSource {
  const templates = templateImages();
  return options && existsSync(options.socket) ? new ClusterImages(options, templates, onChange) : templates;
}

function templateImages(): TemplateImages {
  const command = (program: string) => [process.execPath, ...nodeOptions, path.join(distDirectory, `${program}.cjs`)];
  return new TemplateImages({ programs: { folder: appRoot, command }, manyUsers: hasManyUsers() });
}
