/** Where containers' files come from. */
export { type ImageReference, parseReference, repositoryName } from "./reference.ts";
export { type ContainerImage, ImageError, type ImageErrorReason, type ImageFile, type ImageSource } from "./source.ts";
export { hasManyUsers, type ProgramPaths, TemplateImages, type TemplateOptions } from "./templates.ts";
