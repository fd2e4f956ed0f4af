/** What to do when the mirror refuses a command. Pure. */

import type { CommandReply } from "@kedge/schema/mirror/control-api";
import { refusalText } from "@kedge/schema/mirror/refusal-texts";

/** Next steps by code; `NAME` stands for the volume. */
const NEXT: Readonly<Record<number, string>> = {
  [-1]: '"kedge volume demote NAME" on the other host, then again here',
  [-2]: 'wait for the resync ("kedge volume watch NAME"); if this copy is ' +
    'the good one all the same: "kedge volume promote NAME --force"',
  [-6]: 'it is connected: "kedge volume disconnect NAME" first',
  [-7]: 'connect the peer ("kedge volume connect NAME"), or declare it ' +
    'outdated there: "drbdadm outdate NAME"',
  [-8]: '"kedge volume watch NAME" shows what runs',
  [-10]: 'the peer said no: "kedge volume status NAME" there says why',
  [-11]: '"drbdadm attach NAME" first',
  [-12]: "unmount it, or end its NBD clients, then again",
  [-14]: 'write "verify-alg sha256;" into net { … } on both hosts, then ' +
    '"drbdadm adjust NAME"',
  [-15]: '"kedge volume connect NAME" first',
  [-18]: "again in a moment",
  [-21]: '"kedge volume status NAME": when it is connected, again',
  [-19]: "again in a moment",
  102: "choose another port, or end what uses it",
  111: "give the smaller disk more room, then again",
  130: '"kedge volume watch NAME": when the resync is over, again',
  131: '"kedge volume promote NAME" on one host first',
  134: "it is paused here already; nothing to do",
  135: "it is not paused here; on the other host, perhaps",
  138: 'attach the disk ("drbdadm attach NAME") on the host that has none',
  104: "look at the disk's path and its rights",
  119: '"kedge volume init NAME" writes metadata on an empty disk',
  123:
    '"kedge volume demote NAME" first: only a Secondary can give up its data',
  124: "it is attached already; nothing to do",
  125: "it looks for its peer already; nothing to do",
  127: '"kedge volume up NAME"',
  163: "update Kedge on the other host first",
  170: "leave --size out to use all of the disks",
  151: '"kedge volume disconnect NAME" first',
  158: '"kedge volume up NAME"',
  162: "it looks for no peer; nothing to do",
};

/** What to do now; undefined: nobody knows. */
export function nextStep(name: string, code: number): string | undefined {
  return NEXT[code]?.replaceAll("NAME", name);
}

/** The cause in one sentence, with DRBD's number. */
export function causeText(name: string, { code, why }: CommandReply): string {
  if (code >= 0 && code <= 100) return `${name}: ${why ?? "it failed"}`;
  const text = refusalText(code).replace(/\.$/, "");
  const more = why === undefined || why === refusalText(code)
    ? ""
    : ` (${why})`;
  return `${name}: ${text} [${code}]${more}`;
}
