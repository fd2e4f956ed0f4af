/**
 * A process that serves plain files over NBD, for foreign clients and benches:
 *
 * ```text
 * deno run -A nbd_file_server.ts [--unix PATH] [--single] NAME=FILE… [ro:NAME=FILE…]
 * ```
 *
 * Prints `{"tcp": PORT, "unix": PATH}` when it listens; ends at SIGTERM.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { stderrLog } from "../../node-agent/adapters/log.ts";
import { FileDevice } from "../../node-agent/nbd/file_device.ts";
import { type NbdListen, serveNbd } from "../../node-agent/nbd/server.ts";
import { TestExports } from "./nbd_file_exports.ts";

const { values, positionals } = parseArgs({
  options: {
    unix: { type: "string" },
    single: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const exports = positionals.map((argument) => {
  const readOnly = argument.startsWith("ro:");
  const [name = "", path = ""] = argument.replace(/^ro:/, "").split("=");
  const device = FileDevice.open(path, { readOnly });
  const description = `the file ${name}`;
  return { name, description, device, readOnly, multiConn: !values.single };
});
const listen: NbdListen[] = [{ hostname: "127.0.0.1", port: 0 }];
if (values.unix !== undefined) listen.push({ path: values.unix });

const server = serveNbd({
  listen,
  exports: new TestExports(exports),
  log: stderrLog("text"),
});
const { addr } = server;
const ready = {
  tcp: "port" in addr ? addr.port : undefined,
  unix: values.unix,
};
Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(ready)}\n`));

Deno.addSignalListener("SIGTERM", async () => {
  await server.close();
  for (const { device } of exports) device.close();
  Deno.exit(0);
});
