/** `kedge crc32`: checksums of local files, as file IDs carry them. */

import { crc32 } from "node:zlib";
import { parse } from "./args.ts";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { CliError, messageOf, UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";

/** See the module comment. */
export const crc32Files: Command = {
  name: "crc32",
  summary: "the CRC-32 of local files, as file IDs carry it",
  usage: ["crc32 FILE…", "crc32 -   (standard input)"],
  about:
    `Prints the checksum in hexadecimal and decimal, and the name. Compare it with
"kedge info ID", or with what the ID itself says: "kedge info --id-only ID".`,
  options: {},
  examples: [["kedge crc32 photo.jpg", "FastDFS: fdfs_crc32"]],
  exits: [],
  reads: true,

  async run(args, context) {
    const { values, words } = parse(args, {});
    if (words.length === 0) throw new UsageError("Missing FILE");
    for (const path of words) {
      const { sum, size } = await sumOf(path, context);
      const hex = sum.toString(16).padStart(8, "0");
      context.out.line(
        values.json
          ? JSON.stringify({ file: path, crc32: sum, hex, size })
          : `${hex}\t${sum}\t${path}`,
      );
    }
    return EXIT.ok;
  },
};

async function sumOf(
  path: string,
  context: CommandContext,
): Promise<{ readonly sum: number; readonly size: number }> {
  try {
    const bytes = path === "-"
      ? context.stdin
      : (await Deno.open(path)).readable;
    let sum = 0;
    let size = 0;
    for await (const chunk of bytes) {
      context.signal.throwIfAborted();
      sum = crc32(chunk, sum);
      size += chunk.length;
    }
    return { sum, size };
  } catch (error) {
    context.signal.throwIfAborted();
    throw new CliError(`Cannot read "${path}": ${messageOf(error)}`);
  }
}
