import { serverPages } from "#test/support/transcript/serverStage.ts";

serverPages("look");
