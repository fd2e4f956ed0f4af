/** `kedge start` with the stubs instead of the real programs. */

import { fileURLToPath } from "node:url";
import { systemContext } from "../../system_context.ts";
import { startWith } from "../../start.ts";

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
Deno.exit(
  await startWith({
    tracker: here("stub_tracker.ts"),
    agent: here("stub_agent.ts"),
  }).run(Deno.args, systemContext(() => ({ info() {}, warn() {} }))),
);
