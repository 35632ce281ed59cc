// Pulls an image into a store, as a process of its own: `node pullProgram.ts STORE HOST NAME`.
import { ImageStore, Puller } from "#images/index.ts";
import { plainKeeper } from "./keeper.ts";

const [path = "", host = "", name = ""] = process.argv.slice(2);
const store = ImageStore.open(path);
const puller = new Puller({ settings: { mirrors: {}, insecure: [host] } });
await puller.pull(name, { entries: [] }, { store, keeper: plainKeeper(store) });
puller.close();
