/**
 * Which requests are refused: a flat list, one rule per line. Whoever gets past
 * it may trust offset, length and flags.
 *
 * @module
 */

import {
  CommandFlag,
  NbdCommand,
  type NbdRequest,
} from "@kedge/schema/wire/nbd/requests";
import { BlockErrno } from "../block_ports.ts";
import { NBD_PAYLOAD_BYTES_MAX } from "./limits.ts";

/** What the check must know of an export and its connection. */
export interface RequestRules {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly minimumBlockBytes: number;
  readonly structured: boolean;
  /** The client chose base:allocation. */
  readonly hasContext: boolean;
}

/**
 * Flags that a command may carry, by its number. FUA is taken everywhere, as
 * the protocol demands once SEND_FUA is set.
 */
const FLAGS_ALLOWED: Readonly<Record<number, number>> = {
  [NbdCommand.READ]: CommandFlag.FUA | CommandFlag.DF,
  [NbdCommand.WRITE]: CommandFlag.FUA,
  [NbdCommand.FLUSH]: CommandFlag.FUA,
  [NbdCommand.TRIM]: CommandFlag.FUA,
  [NbdCommand.CACHE]: CommandFlag.FUA,
  [NbdCommand.WRITE_ZEROES]: CommandFlag.FUA | CommandFlag.NO_HOLE |
    CommandFlag.FAST_ZERO,
  [NbdCommand.BLOCK_STATUS]: CommandFlag.FUA | CommandFlag.REQ_ONE,
};

/**
 * Check a request (anything but DISC).
 *
 * @returns OK, or the error to answer. Source: the NBD protocol, commands.
 */
export function checkRequest(
  request: NbdRequest,
  rules: RequestRules,
): BlockErrno {
  const { type, flags, offset, lengthBytes } = request;
  const allowed = FLAGS_ALLOWED[type];
  if (allowed === undefined) return BlockErrno.EINVAL;
  if ((flags & ~allowed) !== 0) return BlockErrno.EINVAL;
  if ((flags & CommandFlag.DF) !== 0 && !rules.structured) {
    return BlockErrno.EINVAL;
  }
  if (type === NbdCommand.FLUSH) {
    return offset === 0 && lengthBytes === 0
      ? BlockErrno.OK
      : BlockErrno.EINVAL;
  }
  if (rules.readOnly && changes(type)) return BlockErrno.EPERM;
  if (carriesData(type) && lengthBytes > NBD_PAYLOAD_BYTES_MAX) {
    return BlockErrno.EINVAL;
  }
  // Subtracted, not added: the sum of two hostile numbers may be rounded.
  if (offset > rules.sizeBytes || lengthBytes > rules.sizeBytes - offset) {
    return isStored(type) ? BlockErrno.ENOSPC : BlockErrno.EINVAL;
  }
  const unit = rules.minimumBlockBytes;
  if (offset % unit !== 0 || lengthBytes % unit !== 0) return BlockErrno.EINVAL;
  if (type === NbdCommand.BLOCK_STATUS) {
    if (!rules.hasContext || lengthBytes === 0) return BlockErrno.EINVAL;
  }
  return BlockErrno.OK;
}

function carriesData(type: number): boolean {
  return type === NbdCommand.READ || type === NbdCommand.WRITE;
}

function isStored(type: number): boolean {
  return type === NbdCommand.WRITE || type === NbdCommand.WRITE_ZEROES;
}

function changes(type: number): boolean {
  return isStored(type) || type === NbdCommand.TRIM;
}
