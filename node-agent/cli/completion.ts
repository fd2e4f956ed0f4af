/** `kedge completion`: words for the shell, from the same tables as the help. */

import { COMMON, exactly, parse } from "./args.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { COMMANDS } from "./registry.ts";
import {
  completionScript,
  type CompletionWords,
} from "./text/completion_text.ts";

/** See the module comment. */
export const completion: Command = {
  name: "completion",
  summary: "print a completion script for bash, zsh or fish",
  usage: ["completion bash|zsh|fish"],
  about: "Completes commands, their verbs and options, and file names.",
  options: {},
  examples: [
    ["source <(kedge completion bash)", "in ~/.bashrc"],
    ["source <(kedge completion zsh)", "in ~/.zshrc, after compinit"],
    [
      "kedge completion fish > ~/.config/fish/completions/kedge.fish",
      "once",
    ],
  ],
  verbs: ["bash", "zsh", "fish"],
  reads: true,

  async run(args, context) {
    const { words } = parse(args, {});
    const [shell = ""] = exactly(words, "SHELL");
    if (shell !== "bash" && shell !== "zsh" && shell !== "fish") {
      throw new UsageError(`Say bash, zsh or fish, not "${shell}"`);
    }
    const commands: CompletionWords[] = [];
    for (const entry of COMMANDS) {
      const { options, verbs = [], summary } = await entry.load();
      commands.push({
        name: entry.name,
        summary,
        verbs,
        options: Object.keys({ ...options, ...COMMON }),
      });
    }
    context.out.write(completionScript(shell, commands));
    return EXIT.ok;
  },
};
