/** Where containers' files come from. */
export { ClusterImages, type ClusterImagesOptions } from "./clusterImages.ts";
export { nodeImages } from "./nodeImages.ts";
export {
  type ContainerImage,
  ImageError,
  type ImageErrorReason,
  type ImageFile,
  type ImageSource,
  type ImageUser,
  type ImageWish,
} from "./source.ts";
export { hasManyUsers, type ProgramPaths, TemplateImages, type TemplateOptions } from "./templates.ts";
export { namedUser } from "./users.ts";
