/** Images for the nodes of a cluster, which have no way out themselves. */
export { ImageClient } from "./client.ts";
export type { ImageAnswer, ImageFacts, ImageRequest, ImagesState, PullPolicy } from "./protocol.ts";
export { Pulls } from "./pulls.ts";
export { ImageServer, SOCKET_NAME } from "./server.ts";
