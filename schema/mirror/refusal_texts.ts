/**
 * What the numbers of a {@linkcode CommandReply} mean, in DRBD's words.
 *
 * Users and scripts know them by heart, so they are fixed. Negative ones are
 * refused changes of state, those above 100 refused configurations.
 *
 * Source: `drbdsetup` of DRBD 8.4; reference of DRBD, §2.5 and §6.6.
 *
 * @module
 */

/** Refused changes of state, for `State change failed: (N) TEXT`. */
export const STATE_REFUSALS = {
  [-1]: "Multiple primaries not allowed by config",
  [-2]: "Need access to UpToDate data",
  [-4]: "Can not resync without local disk",
  [-5]: "Can not resync without remote disk",
  [-6]: "Refusing to be Outdated while Connected",
  [-7]: "Refusing to be Primary while peer is not outdated",
  [-8]: "Can not start OV/resync since it is already active",
  [-9]: "Can not disconnect a StandAlone device",
  [-10]: "State change was refused by peer node",
  [-11]: "Device is diskless, the requested operation requires a disk",
  [-12]: "Device is held open by someone",
  [-13]: "Have no net/connection configuration",
  [-14]: "Need a verify algorithm to start online verify",
  [-15]: "Need a connection to start verify or resync",
  [-16]: "Disk state is lower than outdated",
  [-17]: "Peer does not support protocol",
  [-18]: "In transient state, retry after next state change",
  [-19]: "Concurrent state changes detected and aborted",
  [-20]: "Other vol primary on peer not allowed by config",
  [-21]: "Need a connection for a graceful disconnect/outdate peer",
} as const;

const TEXTS: Readonly<Record<number, string>> = {
  ...STATE_REFUSALS,
  102: "Local address(port) already in use.",
  103: "Remote address(port) already in use.",
  104: "Can not open backing device.",
  105: "Can not open meta device.",
  107: "Lower device is not a block device.",
  108: "Meta device is not a block device.",
  111: "Low.dev. smaller than requested DRBD-dev. size.",
  112: "Meta device too small.",
  114: "Lower device is already claimed. This usually means it is mounted.",
  115: "Meta device is already claimed. This usually means it is mounted.",
  116: "Lower device / meta device / index combination invalid.",
  118: "IO error(s) occurred during initial access to meta-data.",
  119: "No valid meta-data signature found.",
  120: "Unknown or unsupported cram-hmac-alg",
  121: "The cram-hmac-alg is no digest",
  122: "Out of memory.",
  123: "--discard-my-data not allowed when primary.",
  124: "Device is attached to a disk (use detach first)",
  125: "Device has a net-config (use disconnect first)",
  127: "Device minor not allocated",
  129: "Interrupted by Signal",
  130: "Resize not allowed during resync.",
  131: "Need one Primary node to resize.",
  132: "The resync-after minor number is invalid",
  133: "This would cause a resync-after dependency cycle",
  134: "Sync-pause flag is already set",
  135: "Sync-pause flag is already cleared",
  138: "Device does not have a disk-config",
  139: "Protocol C required",
  141: "Unknown or unsupported data-integrity-alg",
  142: "The data-integrity-alg is no digest",
  143: "Invalid cpu-mask",
  144: "Unknown or unsupported csums-alg",
  145: "The csums-alg is no digest",
  146: "Unknown or unsupported verify-alg",
  147: "The verify-alg is no digest",
  148: "Can not change csums-alg while resync is in progress",
  149: "Can not change verify-alg while online verify runs",
  150: "Can only attach to the data we lost last (see kernel log).",
  151: "Need to be StandAlone",
  152: "Permission denied",
  153: "Peer's protocol version does not support this (needs 93)",
  154: "Fencing policy resource-and-stonith only with prot B or C allowed.",
  155: "on-congestion policy pull-ahead only with prot A allowed.",
  156: "Sync-pause flag is now cleared. Resync still paused by a dependency.",
  157: "Sync-pause flag is now cleared. Resync still paused by the peer.",
  158: "Unknown resource",
  159: "Resource still in use (delete all minors first)",
  160: "Minor still configured (down it first)",
  161: "Minor or volume exists already (delete it first)",
  162: "Invalid configuration request",
  163: "Changing this while connected needs protocol 100 or later",
  164:
    "Can not clear allow_two_primaries as long as there a primaries on both sides",
  165: "Unclean meta-data found.",
  170: "Implicit device shrinking not allowed",
};

/** The text of a number; "unknown error" when DRBD has none. */
export function refusalText(code: number): string {
  return TEXTS[code] ?? "unknown error";
}
