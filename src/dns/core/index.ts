/** What the server and its plugins share: requests and replies, the plugin interface, zone matching. */
export * from "./answerer.ts";
export * from "./fallthrough.ts";
export * from "./plugin.ts";
export * from "./request.ts";
