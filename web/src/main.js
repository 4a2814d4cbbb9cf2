/* The entry of the page without a server: the editor, with a worker as its back end. */

import { start } from "./editor/start.js";
import { state } from "./editor/state.js";
import { keepOffline } from "./offline.js";
import { startWorker, worker } from "./worker_back_end.js";

start(worker);
await keepOffline(() => state.cards.length === 0);
startWorker();
