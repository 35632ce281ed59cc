/** Images: names, registries, archives, the store. */
export { loadImages } from "./archive/index.ts";
export type { Bringing, Progress } from "./bring.ts";
export { defaultImageSettings, endpointsOf, type ImageSettings } from "./config.ts";
export { type Credentials, type Keyring, parseKeyring } from "./credentials.ts";
export { hexOf } from "./digest.ts";
export { ImageFault, type ImageFaultCode, isFault } from "./errors.ts";
export type { ImageConfig } from "./manifest.ts";
export { Puller } from "./puller.ts";
export {
  familiarName,
  formatReference,
  parseReference,
  parseWithTag,
  type Reference,
  repositoryName,
} from "./reference.ts";
export {
  type ImageAnswer,
  ImageClient,
  type ImageFacts,
  ImageServer,
  type ImagesState,
  type PullPolicy,
  Pulls,
  SOCKET_NAME,
} from "./service/index.ts";
export { type ImageRecord, ImageStore, type LayerKeeper, type Removed, shownName } from "./store/index.ts";
export { type UnpackMessage, type UnpackRequest, type UnpackResult, unpackLayer } from "./unpack/index.ts";
