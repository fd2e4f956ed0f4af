/**
 * What the commands that change one file have in common.
 *
 * @module
 */

import { type FileChange, sendChange } from "./client/changes.ts";
import type { ConnectionValues } from "./client/connection.ts";
import { openClient } from "./client/tracker_client.ts";
import type { CommandContext } from "./context.ts";
import { EXIT } from "./exit_codes.ts";
import { sizeText } from "./text/units.ts";

/**
 * Make a change and print the file as it is afterwards: its ID and size, or
 * everything with `--json`.
 *
 * @returns The exit code.
 * @throws {CliError} Refused, or nobody knows whether it was made.
 */
export async function makeChange(
  change: FileChange,
  values: ConnectionValues & { readonly json: boolean },
  context: CommandContext,
): Promise<number> {
  const client = await openClient(values, context);
  const file = await sendChange(change, client, context);
  context.out.line(
    values.json ? JSON.stringify(file) : `${file.id}\t${sizeText(file.size)}`,
  );
  return EXIT.ok;
}
