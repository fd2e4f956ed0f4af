/**
 * `run_by_user` and `run_by_group`. A process here cannot change its user, so it
 * must be started as the right one. Pure.
 *
 * @module
 */

import type { RunAs } from "@kedge/schema/fastdfs-conf";

/** Who runs, and the numbers of those who should; `undefined`: unknown here. */
export interface Whoami {
  readonly uid: number;
  readonly gid: number;
  readonly wantedUid: number | undefined;
  readonly wantedGid: number | undefined;
}

/** The words before a command that start it as somebody else. */
export function runAsWords({ user, group }: RunAs): string[] {
  if (user === undefined && group === undefined) return [];
  return [
    "setpriv",
    ...(user === undefined ? [] : ["--reuid", user]),
    ...(group === undefined ? [] : ["--regid", group]),
    user === undefined ? "--clear-groups" : "--init-groups",
  ];
}

/** Why a process may not start as who it is, and how it can. */
export function runAsProblem(
  runAs: RunAs,
  who: Whoami,
  command: string,
): string | undefined {
  const { user, group } = runAs;
  const isUser = user === undefined || who.wantedUid === who.uid;
  const isGroup = group === undefined || who.wantedGid === who.gid;
  if (isUser && isGroup) return undefined;
  const unknown = [
    user !== undefined && who.wantedUid === undefined ? `user ${user}` : "",
    group !== undefined && who.wantedGid === undefined ? `group ${group}` : "",
  ].filter((name) => name !== "");
  if (unknown.length > 0) {
    return `run_by_user, run_by_group: there is no ${
      unknown.join(", no ")
    } on this host; make it, or leave the value empty`;
  }
  const units = [
    ...(user === undefined ? [] : [`User=${user}`]),
    ...(group === undefined ? [] : [`Group=${group}`]),
  ].join(" and ");
  return `run_by_user, run_by_group: this process cannot change its user; start it with "${
    runAsWords(runAs).join(" ")
  } kedge ${command} …" or with ${units} in its systemd unit`;
}
