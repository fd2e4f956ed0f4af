/**
 * Lines of the access log, in the order of FastDFS's: time, client, command,
 * file, status, time taken, bytes of the request, bytes of the answer. Pure.
 *
 * @module
 */

import { COMMAND } from "@kedge/schema/wire/fastdfs";
import type { Served } from "./served.ts";

/** Commands of a storage, as FastDFS's access log names them, or as we do. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [COMMAND.upload, "upload"],
  [COMMAND.uploadAppender, "upload_appender"],
  [COMMAND.uploadSlave, "upload_slave"],
  [COMMAND.append, "append"],
  [COMMAND.modify, "modify"],
  [COMMAND.truncate, "truncate"],
  [COMMAND.delete, "delete"],
  [COMMAND.setMeta, "set_metadata"],
  [COMMAND.getMeta, "get_metadata"],
  [COMMAND.download, "download"],
  [COMMAND.fileInfo, "status"],
  [COMMAND.regenerate, "rename"],
  [COMMAND.createLink, "create_link"],
]);
const FILE_LENGTH_MAX = 160;

/**
 * One line, without its end.
 *
 * @returns `undefined` for tests whether the connection lives.
 */
export function accessLine(
  served: Served,
  wallMs: number,
): string | undefined {
  const { client, command, status, file, tookMs } = served;
  if (command === COMMAND.activeTest || command === COMMAND.quit) {
    return undefined;
  }
  const time = new Date(wallMs).toISOString();
  const name = NAMES.get(command) ?? `command_${command}`;
  return `[${time}] ${client} ${name} ${fileText(file)} ${status} ` +
    `${tookMs.toFixed(1)} ${served.requestBytes} ${served.responseBytes}`;
}

/** Clients choose names: one word of ASCII, whatever they sent. */
function fileText(file: string): string {
  if (file === "") return "-";
  return file.slice(0, FILE_LENGTH_MAX).replace(/[^!-~]/g, "?");
}
