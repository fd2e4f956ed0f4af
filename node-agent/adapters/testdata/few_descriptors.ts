/**
 * A server for tests of the descriptor limit: `few_descriptors.ts [CERT KEY]`.
 * Prints its port, then a line per shortage.
 *
 * @module
 */

import { serve } from "../http_server.ts";

const say = (line: string) =>
  void Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));

const [cert, key] = await Promise.all(
  Deno.args.map((path) => Deno.readTextFile(path)),
);
// As in an agent; Deno's first listener needs a descriptor of its own.
Deno.addSignalListener("SIGTERM", () => Deno.exit(0));
const { port } = await serve(
  async (request) => {
    let count = 0;
    for await (const chunk of request.body ?? []) count += chunk.length;
    return new Response(`${count} bytes`);
  },
  { hostname: "127.0.0.1", port: 0, cert, key, onShortage: say },
);
say(String(port));
