/* The entry of app.py's page: the editor, with the server as its back end. */

import { start } from "./editor/start.js";
import { server } from "./server.js";

start(server);
