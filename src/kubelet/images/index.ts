/** Where containers' files come from. */
export { parseReference, repositoryName, type ImageReference } from "./reference.ts";
export { type ContainerImage, ImageError, type ImageErrorReason, type ImageFile, type ImageSource } from "./source.ts";
export { hasManyUsers, type ProgramPaths, TemplateImages, type TemplateOptions } from "./templates.ts";
