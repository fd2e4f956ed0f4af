/**
 * When nobody reads standard output any more, as after `| head -1`: a command
 * that only reads has nothing more to say and ends well; one that changes
 * something does all of it, says nothing more, and ends with its real code.
 *
 * @module
 */

import { type OptionTable, parse } from "./args.ts";
import type { CommandContext, Output } from "./context.ts";
import { ReaderGone } from "./errors.ts";

/** Whether a command line only reads. True: the command never does more. */
export type Reads = true | ((args: readonly string[]) => boolean);

/** It only reads when the first word is one of these. */
export function readsWith(
  table: OptionTable,
  ...verbs: readonly string[]
): Reads {
  return (args) => {
    try {
      return verbs.includes(parse(args, table).words[0] ?? "");
    } catch {
      return false; // it will be refused
    }
  };
}

/**
 * What a command gets to write to.
 *
 * @param reads Of the command; undefined: it changes something.
 * @returns The same context; its outputs throw {@linkcode ReaderGone} only if
 * that may end the command.
 */
export function forCommand(
  context: CommandContext,
  reads: Reads | undefined,
  args: readonly string[],
): CommandContext {
  const onlyReads = reads === true || reads?.(args) === true;
  const { out, err } = context;
  return {
    ...context,
    out: onlyReads ? out : goingOn(out),
    err: goingOn(err),
  };
}

/** The same output, without an end when its reader is gone. */
function goingOn(output: Output): Output {
  return {
    line: (text) => ignoringGone(() => output.line(text)),
    write: (text) => ignoringGone(() => output.write(text)),
    async bytes(chunk) {
      try {
        await output.bytes(chunk);
      } catch (error) {
        if (!(error instanceof ReaderGone)) throw error;
      }
    },
    columns: output.columns,
  };
}

function ignoringGone(write: () => void): void {
  try {
    write();
  } catch (error) {
    if (!(error instanceof ReaderGone)) throw error;
  }
}
