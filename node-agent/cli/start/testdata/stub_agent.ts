/** An agent that stores nothing: enough for `kedge start` to be tested. */

import { readAgentConfig } from "@kedge/schema/config/agent";
import { urlOf } from "@kedge/schema/config/units";
import { parse } from "../../args.ts";

const flag = { kind: "text", help: "" } as const;
const { values } = parse(Deno.args.slice(1), {
  data: flag,
  tracker: flag,
  listen: flag,
  advertise: flag,
  "peer-listen": flag,
  "store-path": flag,
  group: flag,
  "token-file": flag,
});
const config = readAgentConfig({
  flags: {
    data: values.data,
    tracker: values.tracker,
    listen: values.listen,
    token_file: values["token-file"],
  },
  env: {},
});
// A test names a file: the first port that comes by is written there, and is
// taken from then on.
const takenFile = Deno.env.get("KEDGE_STUB_TAKEN");
if (takenFile !== undefined) {
  if (!await exists(takenFile)) {
    await Deno.writeTextFile(takenFile, String(config.listen.port));
  }
  if (Number(await Deno.readTextFile(takenFile)) === config.listen.port) {
    Deno.stderr.writeSync(
      new TextEncoder().encode("Address already in use (os error 98)\n"),
    );
    Deno.exit(1);
  }
}
const node = Number(/node-(\d+)$/.exec(config.dataDir)?.[1]);
const identity = `${config.dataDir}/agent.json`;
if (!await exists(identity)) {
  // A first start without a token fails, as the real one does.
  Deno.readTextFileSync(config.tokenFile ?? "");
  Deno.writeTextFileSync(identity, JSON.stringify({ identity: { node } }));
}
const server = Deno.serve(
  { ...config.listen, onListen() {} },
  () => Response.json({ servesReads: true, takesChanges: true }),
);
await fetch(`${config.trackers[0]}/stub/join`, {
  method: "POST",
  body: String(node),
});
const ready = { ready: true, node, group: "group1" };
Deno.stdout.writeSync(
  new TextEncoder().encode(
    JSON.stringify({ ...ready, url: urlOf(config.listen, false) }) + "\n",
  ),
);
Deno.addSignalListener("SIGTERM", () => server.shutdown());
await server.finished;
Deno.exit(0);

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
