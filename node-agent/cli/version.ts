/** `kedge version`: what this is made of. */

import { VERSION } from "../version.ts";
import { parse } from "./args.ts";
import type { Command } from "./command.ts";
import { EXIT } from "./exit_codes.ts";

/** See the module comment. */
export const version: Command = {
  name: "version",
  summary: "show the version",
  usage: ["version"],
  about: "Shows the versions of kedge and of what it runs on.",
  options: {},
  examples: [["kedge version --json", "for scripts"]],
  reads: true,

  run(args, context) {
    const { values } = parse(args, {});
    const { deno, v8, typescript } = Deno.version;
    context.out.line(
      values.json
        ? JSON.stringify({ kedge: VERSION, deno, v8, typescript })
        : `kedge ${VERSION} (deno ${deno}, v8 ${v8})`,
    );
    return Promise.resolve(EXIT.ok);
  },
};
